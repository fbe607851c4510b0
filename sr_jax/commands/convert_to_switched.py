"""Turns convolutions of a trained network into switched ones, as a run that can be trained on.

The new run holds the trained kernels, copied across the breadth, new selectors, and a new
optimizer. Its output is the old network's until training goes on.
"""

import argparse
import dataclasses
import functools
from pathlib import Path

from sr_jax import models, tasks
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import abstract_tree, load_run, read_switching, resume_or_init
from sr_jax.config.binding import bind
from sr_jax.config.settings import CheckpointSettings
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.models.protocols import Switchable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax convert-to-switched`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a dense run, or one of its checkpoints'
    )
    parser.add_argument(
        '--layers',
        nargs='+',
        required=True,
        metavar='LAYER',
        help='paths of the convolutions, such as decoder/conv decoder/up_0/conv',
    )
    parser.add_argument(
        '--breadth', type=int, default=8, help='kernels of each (default: %(default)s)'
    )
    parser.add_argument(
        '--selector',
        default='lambda',
        help='standard, lambda, lambda2, bn_lambda or attention (default: %(default)s)',
    )
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='the new run; must not exist'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the new run's checkpoint of step 0.

    Raises:
      InputError: no such checkpoint or layer, a network that is switched already or cannot be, or
        an output folder that exists.
    """
    if arguments.output.exists():
        raise InputError(f'{arguments.output} exists: take another --output')
    mesh = sharding.make_mesh()
    old = load_run(arguments.checkpoint, mesh=mesh)
    config = old.config.copy_and_resolve_references().unlock()
    if not isinstance(models.find(config.model.name)(), Switchable):
        raise InputError(
            f'{arguments.checkpoint}: convolutions of {config.model.name!r} cannot become '
            f'switched ones; those of networks {", ".join(models.names(Switchable))} can'
        )
    if read_switching(config).layers:
        raise InputError(f'{arguments.checkpoint} has switched convolutions already')
    settings = dataclasses.asdict(read_switching(config))
    chosen = {'breadth': arguments.breadth, 'network': arguments.selector}
    config.model.switching = {**settings, **chosen, 'layers': tuple(arguments.layers)}
    config.train.start_from = str(arguments.checkpoint)
    config.lock()
    task = tasks.make(config)
    abstract_tree(task, mesh)  # so that a wrong layer leaves nothing behind
    kept = bind(CheckpointSettings, config.checkpoint, 'config.checkpoint')
    arguments.output.mkdir(parents=True)
    directions = task.evaluation.higher_is_better
    checkpoints = Checkpoints(arguments.output, kept, directions[kept.best_metric])
    load = functools.partial(networks.load, mesh=mesh)
    tree, step, _ = resume_or_init(checkpoints, config, task, mesh, load, print)
    checkpoints.save(step, tree, config=config, data=None, metrics=None)
    checkpoints.close()
    print(f'{arguments.output}: evaluate it, or train it with a config of the same model')
    return 0
