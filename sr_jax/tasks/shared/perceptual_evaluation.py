"""The evaluation of what images look like: LPIPS, and of clips how it changes between frames."""

from collections.abc import Sequence

import numpy as np

from sr_jax.errors import InputError
from sr_jax.metrics import temporal
from sr_jax.metrics.lpips import Lpips
from sr_jax.tasks.shared.evaluation import means
from sr_jax.tasks.task import Batch, Evaluation, Outputs, Row, Totals


def measure_perceptually(metrics: Sequence[Lpips]) -> Evaluation:
    """Returns the evaluation of outputs['image'] against batch['hq'], images or clips.

    Metrics: 'lpips_<kind>', of clips the mean over their frames; of clips of two frames and more
    't_lp_<kind>' (`sr_jax.metrics.temporal.perceptual_change`).

    Args:
      metrics: LPIPS of one or more kinds.
    """
    names = [metric.name for metric in metrics]
    changes = [name.replace('lpips', 't_lp') for name in names]

    def measure_one(image: np.ndarray, hq: np.ndarray) -> Row:
        row = {}
        frames = (image, hq) if hq.ndim == 4 else (image[None], hq[None])
        for metric, name, change in zip(metrics, names, changes, strict=True):
            row[name] = float(np.mean(compare(metric, *frames)))
            if len(frames[1]) > 1:
                row[change] = change_of(metric, *frames)
        return row

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        given = [values.get(key, 0) for values, key in ((outputs, 'image'), (batch, 'hq'))]
        if np.ndim(given[0]) < 4 or np.shape(given[0]) != np.shape(given[1]):
            raise InputError(f'{", ".join(names)}: there are no images made of true ones here')
        pairs = zip(outputs['image'], batch['hq'], strict=True)
        return [measure_one(image, hq) for image, hq in pairs], {}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del totals
        return means(rows, [*names, *changes])

    return Evaluation(measure, summarize, dict.fromkeys((*names, *changes), False))


def compare(metric: Lpips, images: np.ndarray, others: np.ndarray) -> list[float]:
    """Returns the distance of each pair of images."""
    return [metric(image, other) for image, other in zip(images, others, strict=True)]


def change_of(metric: Lpips, images: np.ndarray, truth: np.ndarray) -> float:
    """Returns tLP of a clip, [t, h, w, 3]."""
    return temporal.perceptual_change(lambda a, b: compare(metric, a, b), images, truth)
