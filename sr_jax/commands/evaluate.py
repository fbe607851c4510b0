"""Measures a trained network on validation pictures: MSE, PSNR, SSIM, and the use of codebooks."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sr_jax import sharding, trained
from sr_jax.config import bind
from sr_jax.data.pipeline import validation_batches
from sr_jax.data.settings import DataSettings
from sr_jax.errors import InputError
from sr_jax.metrics.codebook import perplexity, usage
from sr_jax.metrics.protocol import Protocol, parse

MAX_BREADTH = 256  # of a switched convolution
MEASURED = {'commitment', 'bits_per_dimension'}  # of each picture by the task itself
HELP = 'measure a trained network on validation pictures'


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
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        '--data',
        metavar='SOURCE',
        help="pictures: 'photos', 'folder:<path>', 'tfds:<name>' or 'paired:<folder of hq>:<folder "
        "of lq>' (default: the run's own validation pictures)",
    )
    parser.add_argument(
        '--crops', type=int, metavar='N', help="at most N crops (default: the run's number)"
    )
    parser.add_argument(
        '--protocol',
        help='how PSNR and SSIM are measured, such as rgb_crop0 or y_matlab_crop4 (default: the '
        "run's)",
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write the numbers to a file as well'
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints one number a line.

    Raises:
      InputError: no checkpoint, no such data, an unknown protocol.
    """
    mesh = sharding.make_mesh()
    model = trained.load(arguments.checkpoint, best=arguments.best, mesh=mesh)
    data = bind(DataSettings, model.config.data, 'config.data')
    settings = bind(EvaluationSettings, model.config.evaluation, 'config.evaluation')
    if arguments.data:
        data = dataclasses.replace(data, validation_source=arguments.data)
    if arguments.crops:
        data = dataclasses.replace(data, validation_crops=arguments.crops)
    protocol = parse(arguments.protocol or settings.protocol)
    batch_size = -(-settings.batch_size // mesh.size) * mesh.size
    metrics = evaluate_batches(
        sharding.jit_predict(model.task.predict, mesh),
        model.variables,
        validation_batches(data, batch_size, print),
        protocol,
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
        record = {'step': model.step, 'source': source, 'protocol': protocol.name, **metrics}
        arguments.json.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    return 0


def evaluate_batches(
    predict: Callable[..., dict[str, Any]],
    variables: dict[str, Any],
    batches: Iterable[dict[str, np.ndarray]],
    protocol: Protocol,
    mesh: Mesh,
) -> dict[str, float]:
    """Returns metrics, each a mean over the pictures.

    'pictures'; 'mse' of pictures in [0, 1]; 'psnr' in dB and 'ssim' with the protocol's name, such
    as 'psnr_rgb_crop0'; for flows 'bits_per_dimension', see `sr_jax.losses.likelihood`; and for
    networks with codebooks 'commitment', the loss without its weight,
    and over all the pictures together 'usage_<level>' and 'perplexity_<level>'; for switched
    convolutions 'kernels/<layer>', the perplexity of the choices (how many kernels are in use).

    Args:
      predict: the jitted function of the task.
      variables: of the network.
      batches: {'hq': [B, H, W, 3], 'mask': [B]}; pictures with mask 0 do not count.
      protocol: of PSNR and SSIM.
      mesh: over which a batch is split.
    """
    names = ('mse', f'psnr_{protocol.name}', f'ssim_{protocol.name}')
    rows: list[tuple[float, float, float]] = []
    counts: dict[str, np.ndarray] = {}
    kernels: dict[str, np.ndarray] = {}
    measured: dict[str, list[np.ndarray]] = {}
    for batch in batches:
        kept = batch.pop('mask') > 0
        outputs = jax.device_get(predict(variables, sharding.put_batch(batch, mesh)))
        for image, reference in zip(outputs['image'][kept], batch['hq'][kept], strict=True):
            mse = float(np.mean(np.square(image - reference), dtype=np.float64))
            rows.append((mse, protocol.psnr(image, reference), protocol.ssim(image, reference)))
        for level, used in outputs.get('code_counts', {}).items():
            counts[level] = counts.get(level, 0) + used[kept].sum(axis=0)
        for name in MEASURED & outputs.keys():
            measured.setdefault(name, []).append(outputs[name][kept])
        for layer, choice in outputs.get('choices', {}).items():
            used = np.bincount(choice[kept].ravel(), minlength=MAX_BREADTH)
            kernels[layer] = kernels.get(layer, 0) + used
    means = np.mean(rows, axis=0)
    metrics: dict[str, float] = {'pictures': len(rows)}
    metrics |= {name: float(mean) for name, mean in zip(names, means, strict=True)}
    for name, values in measured.items():
        metrics[name] = float(np.concatenate(values).mean(dtype=np.float64))
    for level, used in counts.items():
        metrics[f'usage_{level}'] = np.asarray(usage(used)).item()
        metrics[f'perplexity_{level}'] = np.asarray(perplexity(used)).item()
    for layer, used in kernels.items():
        metrics[f'kernels/{layer}'] = np.asarray(perplexity(used)).item()
    return metrics
