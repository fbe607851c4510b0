"""Measures the network of a run on the crops that the run validates on.

  python -m sr_jax evaluate runs/mine
  python -m sr_jax evaluate runs/mine --best --data folder:photos --protocol rgb_crop4

MSE, PSNR, SSIM, and what else its task measures, such as the use of codebooks; with --lpips how
images look, and of clips how that changes from frame to frame. Whole images are measured by
`benchmark`.
"""

import argparse
import dataclasses
from pathlib import Path

from sr_jax import tasks
from sr_jax.checkpoints.run import load_run
from sr_jax.commands.shared import measures
from sr_jax.commands.shared.table import check_place, write_json
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings, EvaluationSettings
from sr_jax.data.validation import validation_batches
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.pretrained import openmodeldb
from sr_jax.pretrained.named import WEIGHTS
from sr_jax.tasks.shared.evaluation import join
from sr_jax.tasks.shared.perceptual_evaluation import measure_perceptually
from sr_jax.training.stacking import Stacking
from sr_jax.training.step import jit_predict
from sr_jax.training.validation import evaluate_batches

BENCHMARK = 'whole images are measured by `sr-jax benchmark SOURCE --weights NETWORK`'


class _OldForm(argparse.Action):
    """Answers `--benchmark`, which this verb had once, with the verb that there is now."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.exit(2, f'error: {BENCHMARK}, or with --results FOLDER\n')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax evaluate`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        '--data',
        metavar='SOURCE',
        help="images: 'photos', 'folder:<path>', 'lmdb:<folder>', 'tfds:<name>' or 'paired:"
        "<folder of hq>:<folder of lq>' (default: the run's own validation images)",
    )
    parser.add_argument(
        '--crops', type=int, metavar='N', help="at most N crops (default: the run's number)"
    )
    parser.add_argument(
        '--frames', type=int, metavar='N', help="of a clip, of runs on clips (default: the run's)"
    )
    parser.add_argument(
        '--protocol',
        metavar='NAMES',
        help='how PSNR and SSIM are measured, such as rgb_crop0, or y_matlab_crop4,rgb_crop4 '
        "(default: the run's)",
    )
    measures.add_lpips(parser)
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help="write the numbers to a file as well; one that is not finite is 'inf' in it",
    )
    parser.add_argument('--benchmark', action=_OldForm, nargs='?', help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Prints one number a line.

    Raises:
      InputError: no such run or data, or an unknown protocol.
    """
    catalogued = arguments.checkpoint.startswith(openmodeldb.PREFIX)
    if catalogued or arguments.checkpoint in WEIGHTS or Path(arguments.checkpoint).is_file():
        raise InputError(f'{arguments.checkpoint} is no run, which validates on crops: {BENCHMARK}')
    check_place(arguments.json)
    mesh = sharding.make_mesh()
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh, load=networks.load)
    data = bind(DataSettings, model.config.data, 'config.data')
    settings = bind(EvaluationSettings, model.config.evaluation, 'config.evaluation')
    if arguments.data:
        data = dataclasses.replace(data, validation_source=arguments.data)
    if arguments.crops:
        data = dataclasses.replace(data, validation_crops=arguments.crops)
    if arguments.frames:
        data = dataclasses.replace(data, frames=arguments.frames)
    config = model.config.copy_and_resolve_references().unlock()
    config.evaluation.protocol = arguments.protocol or settings.protocol
    task = tasks.make(config)
    perceptual = measures.load_perceptual(arguments.lpips or ())
    parts = [task.evaluation, *([measure_perceptually(perceptual)] if perceptual else [])]
    batch_size = -(-settings.batch_size // mesh.size) * mesh.size
    metrics = evaluate_batches(
        jit_predict(task, mesh, config),
        Stacking.of(task, mesh).stack_variables(task, model.variables),
        map(task.check, validation_batches(data, batch_size, print, task.batch(1))),
        join(*parts),
        mesh,
    )
    source = data.validation_source or data.source
    print(
        f'{arguments.checkpoint}: step {model.step}, validation images of {source} in crops of '
        f'{data.crop_size}x{data.crop_size}'
    )
    for name, value in metrics.items():
        print(f'  {name:<18} {value:.5g}')
    if arguments.json:
        named = config.evaluation.protocol
        record = {'step': model.step, 'source': source, 'protocol': named, **metrics}
        write_json(arguments.json, record)
    return 0
