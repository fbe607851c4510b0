"""Measures a network: on the crops that a run validates on, or on whole pictures.

  python -m sr_jax evaluate runs/mine
  python -m sr_jax evaluate realesrgan-x4plus --benchmark folder:Set14 --lpips alex
  python -m sr_jax evaluate --results enlarged/ --benchmark folder:Set14 --scale 4
  python -m sr_jax evaluate runs/srflow --benchmark folder:Set14 --heat 0.8 --samples 5

Of crops: MSE, PSNR, SSIM, and the use of codebooks. Of whole pictures, enlarged by a network or
lying in a folder, a table: PSNR and SSIM by one or more protocols, LPIPS, FID, and how well the
result, shrunk again, agrees with the small picture; the same for bicubic enlargement. Of several
samples that a flow draws: the means, and how far apart they are (diversity, in levels of 255).
"""

import argparse
import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from sr_jax import distributed, sharding, trained
from sr_jax.commands import evaluate_arguments, evaluate_pictures
from sr_jax.commands.measures_table import write_json
from sr_jax.config import bind
from sr_jax.data.pipeline import validation_batches
from sr_jax.data.settings import DataSettings
from sr_jax.errors import InputError
from sr_jax.metrics.codebook import perplexity, usage
from sr_jax.metrics.protocol import Protocol, parse, parse_all

MAX_BREADTH = 256  # of a switched convolution
MEASURED = {'commitment', 'bits_per_dimension'}  # of each picture by the task itself
HELP = 'measure a network on validation crops, or on the whole pictures of a benchmark'


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """The section `config.evaluation`.

    Attributes:
      every: updates between two evaluations; there is one at the end in any case.
      batch_size: pictures of a batch, over all devices.
      protocol: how PSNR and SSIM are measured, such as 'rgb_crop0'; see
        `sr_jax.metrics.protocol`.
    """

    every: int
    batch_size: int
    protocol: str

    def __post_init__(self):
        for key in ('every', 'batch_size'):
            if getattr(self, key) < 1:
                raise InputError(f'config.evaluation.{key} must be at least 1')
        parse(self.protocol)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m sr_jax evaluate`."""
    evaluate_arguments.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a row of numbers for each whole picture; or, of crops, one number a line.

    Returns:
      0, or 1 when a picture could not be measured.

    Raises:
      InputError: no such network or data, an unknown protocol, arguments that exclude each other.
    """
    evaluate_arguments.check(arguments)
    return evaluate_pictures.run(arguments) if arguments.benchmark else _run_on_crops(arguments)


def _run_on_crops(arguments: argparse.Namespace) -> int:
    mesh = sharding.make_mesh()
    model = trained.load(arguments.checkpoint, best=arguments.best, mesh=mesh)
    data = bind(DataSettings, model.config.data, 'config.data')
    settings = bind(EvaluationSettings, model.config.evaluation, 'config.evaluation')
    if arguments.data:
        data = dataclasses.replace(data, validation_source=arguments.data)
    if arguments.crops:
        data = dataclasses.replace(data, validation_crops=arguments.crops)
    protocols = parse_all(arguments.protocol or settings.protocol)
    batch_size = -(-settings.batch_size // mesh.size) * mesh.size
    metrics = evaluate_batches(
        sharding.jit_predict(model.task.predict, mesh),
        model.variables,
        validation_batches(data, batch_size, print),
        protocols,
        mesh,
    )
    source = data.validation_source or data.source
    print(
        f'{arguments.checkpoint}: step {model.step}, validation pictures of {source} in crops of '
        f'{data.crop_size}x{data.crop_size}'
    )
    for name, value in metrics.items():
        print(f'  {name:<18} {value:.5g}')
    if arguments.json:
        named = ','.join(protocol.name for protocol in protocols)
        record = {'step': model.step, 'source': source, 'protocol': named, **metrics}
        write_json(arguments.json, record)
    return 0


def evaluate_batches(
    predict: Callable[..., dict[str, Any]],
    variables: dict[str, Any],
    batches: Iterable[dict[str, np.ndarray]],
    protocols: Sequence[Protocol],
    mesh: Mesh,
) -> dict[str, float]:
    """Returns metrics, each a mean over the pictures.

    'pictures'; 'mse' of pictures in [0, 1]; 'psnr' in dB and 'ssim' with each protocol's name, such
    as 'psnr_rgb_crop0'; for flows 'bits_per_dimension', see `sr_jax.losses.likelihood`; and for
    networks with codebooks 'commitment', the loss without its weight,
    and over all the pictures together 'usage_<level>' and 'perplexity_<level>'; for switched
    convolutions 'kernels/<layer>', the perplexity of the choices (how many kernels are in use).

    Args:
      predict: the jitted function of the task.
      variables: of the network.
      batches: {'hq': [B, H, W, 3], 'mask': [B]}; pictures with mask 0 do not count.
      protocols: of PSNR and SSIM.
      mesh: over which a batch is split.
    """
    names = ['mse', *(f'{kind}_{p.name}' for p in protocols for kind in ('psnr', 'ssim'))]
    rows: list[dict[str, float]] = []
    codes: dict[str, np.ndarray] = {}
    kernels: dict[str, np.ndarray] = {}
    for batch in batches:
        mask = batch.pop('mask') > 0
        own = sharding.own_rows(mesh, len(mask))
        outputs = sharding.fetch_own(predict(variables, sharding.put_rows(batch, mesh)))
        kept = mask[own]
        for i in np.flatnonzero(kept):
            row = _row(outputs['image'][i], batch['hq'][own][i], names, protocols)
            rows.append(row | {k: float(outputs[k][i]) for k in MEASURED & outputs.keys()})
        for level, used in outputs.get('code_counts', {}).items():
            codes[level] = codes.get(level, 0) + used[kept].sum(axis=0)
        for layer, choice in outputs.get('choices', {}).items():
            used = np.bincount(choice[kept].ravel(), minlength=MAX_BREADTH)
            kernels[layer] = kernels.get(layer, 0) + used
    return _over_all(rows, codes, kernels)


def _row(
    image: np.ndarray, reference: np.ndarray, names: Sequence[str], protocols: Sequence[Protocol]
) -> dict[str, float]:
    """Returns the measures of a picture by their names."""
    mse = float(np.mean(np.square(image - reference), dtype=np.float64))
    pairs = ((p.psnr(image, reference), p.ssim(image, reference)) for p in protocols)
    return dict(zip(names, (mse, *itertools.chain(*pairs)), strict=True))


def _over_all(
    rows: list[dict[str, float]], codes: dict[str, np.ndarray], kernels: dict[str, np.ndarray]
) -> dict[str, float]:
    """Returns the metrics of the pictures that this and all other processes have measured.

    The sums are exact, so that they do not depend on how many processes there are.
    """
    counts = {'usage': codes, 'kernels': kernels}
    own = {k: {n: used.tolist() for n, used in v.items()} for k, v in counts.items()}
    told = [json.loads(text) for text in distributed.gather(json.dumps({'rows': rows, **own}))]
    rows = [row for part in told for row in part['rows']]
    metrics: dict[str, float] = {'pictures': len(rows)}
    metrics |= {k: math.fsum(row[k] for row in rows) / len(rows) for k in rows[0]}
    for level in codes:
        used = np.sum([part['usage'][level] for part in told], axis=0)
        metrics[f'usage_{level}'] = np.asarray(usage(used)).item()
        metrics[f'perplexity_{level}'] = np.asarray(perplexity(used)).item()
    for layer in kernels:
        used = np.sum([part['kernels'][layer] for part in told], axis=0)
        metrics[f'kernels/{layer}'] = np.asarray(perplexity(used)).item()
    return metrics
