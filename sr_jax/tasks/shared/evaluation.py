"""What tasks measure: parts of a `sr_jax.tasks.task.Evaluation`, and how they go together."""

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sr_jax.images.finite import check_finite
from sr_jax.metrics.protocol import Protocol
from sr_jax.tasks.task import Batch, Evaluation, Outputs, Row, Totals


def merge(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns one mapping of all that several hold."""
    return {key: value for part in parts for key, value in part.items()}


def join(*evaluations: Evaluation) -> Evaluation:
    """Returns the evaluation that measures all that several do; their names must be different."""

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        all_rows, all_totals = zip(*(e.measure(batch, outputs) for e in evaluations), strict=True)
        rows = [merge(own) for own in zip(*all_rows, strict=True)]
        return rows, merge(all_totals)

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        return merge(e.summarize(rows, totals) for e in evaluations)

    return Evaluation(measure, summarize, merge(e.higher_is_better for e in evaluations))


def means(rows: Sequence[Row], names: Iterable[str]) -> dict[str, float]:
    """Returns the mean over the rows of each number that all of them have, summed exactly."""
    return {
        name: math.fsum(row[name] for row in rows) / len(rows)
        for name in names
        if rows and all(name in row for row in rows)
    }


def measure_images(protocols: Sequence[Protocol]) -> Evaluation:
    """Returns the evaluation of outputs['image'] against batch['hq'], both [n, h, w, 3] in [0, 1].

    Metrics: 'images', how many; 'mse'; 'psnr_<protocol>' in dB and 'ssim_<protocol>', each a mean
    over the images. What is not finite is an InputError.
    """
    names = ['mse', *(f'{kind}_{p.name}' for p in protocols for kind in ('psnr', 'ssim'))]

    def measure_one(image: np.ndarray, hq: np.ndarray) -> Row:
        mse = float(np.mean(np.square(image - hq), dtype=np.float64))
        pairs = ((p.psnr(image, hq), p.ssim(image, hq)) for p in protocols)
        return dict(zip(names, (mse, *itertools.chain(*pairs)), strict=True))

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        check_finite(outputs['image'], 'what the network makes of these images')
        pairs = zip(outputs['image'], batch['hq'], strict=True)
        return [measure_one(image, hq) for image, hq in pairs], {}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del totals
        return {'images': len(rows), **means(rows, names)}

    return Evaluation(measure, summarize, {'mse': False, 'psnr': True, 'ssim': True})


def measure_numbers(higher_is_better: Mapping[str, bool]) -> Evaluation:
    """Returns the evaluation of outputs that are one number for each example, [n], by name.

    Where the outputs do not hold a name, there is no such metric.
    """

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        count = len(next(iter(batch.values())))
        names = [name for name in higher_is_better if name in outputs]
        return [{name: float(outputs[name][i]) for name in names} for i in range(count)], {}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del totals
        return means(rows, higher_is_better)

    return Evaluation(measure, summarize, higher_is_better)


def add_totals(first: Any, second: Any) -> Any:
    """Returns two trees of totals added up, as arrays; what only one of them has stays."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = dict.fromkeys((*first, *second))
        return {key: add_totals(first.get(key, {}), second.get(key, {})) for key in keys}
    there = [np.asarray(part) for part in (first, second) if not isinstance(part, Mapping)]
    return functools.reduce(np.add, there)
