"""Measures a network: on the crops that a run validates on, or on whole images.

  python -m sr_jax evaluate runs/mine
  python -m sr_jax evaluate realesrgan-x4plus --benchmark folder:Set14 --lpips alex
  python -m sr_jax evaluate --results enlarged/ --benchmark folder:Set14 --scale 4
  python -m sr_jax evaluate runs/srflow --benchmark folder:Set14 --temperature 0.8 --samples 5

Of crops: MSE, PSNR, SSIM, and the use of codebooks. Of whole images, enlarged by a network or
lying in a folder, a table: PSNR and SSIM by one or more protocols, LPIPS, FID, and how well the
result, shrunk again, agrees with the small image; the same for bicubic enlargement. Of several
samples that a flow draws: the means, and how far apart they are (diversity, in levels of 255).
"""

import argparse
import dataclasses

from sr_jax import tasks
from sr_jax.checkpoints.run import load_run
from sr_jax.commands import evaluate_images
from sr_jax.commands.shared import evaluate_arguments
from sr_jax.commands.shared.table import write_json
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings, EvaluationSettings
from sr_jax.data.pipeline import validation_batches
from sr_jax.devices import sharding
from sr_jax.inference import networks
from sr_jax.training.validation import evaluate_batches

HELP = 'measure a network on validation crops, or on the whole images of a benchmark'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m sr_jax evaluate`."""
    evaluate_arguments.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a row of numbers for each whole image; or, of crops, one number a line.

    Returns:
      0, or 1 when an image could not be measured.

    Raises:
      InputError: no such network or data, an unknown protocol, arguments that exclude each other.
    """
    evaluate_arguments.check(arguments)
    return evaluate_images.run(arguments) if arguments.benchmark else _run_on_crops(arguments)


def _run_on_crops(arguments: argparse.Namespace) -> int:
    mesh = sharding.make_mesh()
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh, load=networks.load)
    data = bind(DataSettings, model.config.data, 'config.data')
    settings = bind(EvaluationSettings, model.config.evaluation, 'config.evaluation')
    if arguments.data:
        data = dataclasses.replace(data, validation_source=arguments.data)
    if arguments.crops:
        data = dataclasses.replace(data, validation_crops=arguments.crops)
    config = model.config.copy_and_resolve_references().unlock()
    config.evaluation.protocol = arguments.protocol or settings.protocol
    task = tasks.make(config)
    batch_size = -(-settings.batch_size // mesh.size) * mesh.size
    metrics = evaluate_batches(
        sharding.jit_predict(task.predict, mesh),
        model.variables,
        validation_batches(data, batch_size, print, task.batch(1)),
        task.evaluation,
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


