"""The sections of a config that the trainer reads, and the batch fitted into the memory."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import ml_collections
from jax.sharding import Mesh

from sr_jax import tasks
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.config.binding import bind, check_keys, nearest
from sr_jax.config.settings import (
    CheckpointSettings,
    DataSettings,
    EvaluationSettings,
    LogSettings,
    TrainSettings,
)
from sr_jax.devices import distributed, memory, sharding
from sr_jax.errors import InputError
from sr_jax.tasks.task import Load, Task, with_frozen
from sr_jax.training.stacking import Stacking
from sr_jax.training.step import jit_step


class Settings(NamedTuple):
    """The sections of a config that the trainer itself uses."""

    train: TrainSettings
    data: DataSettings
    evaluation: EvaluationSettings
    checkpoint: CheckpointSettings
    log: LogSettings


def read_settings(config: ml_collections.ConfigDict) -> Settings:
    """Returns the trainer's settings.

    Raises:
      InputError: a section or key that is missing, unknown or of the wrong type, or no such seed.
    """
    types = Settings.__annotations__
    check_keys(config, types, config, 'config')
    seed = config.get('seed', 0)
    if not (isinstance(seed, int) and 0 <= seed < 2**32):
        raise InputError(f'config.seed={seed!r} must be a whole number from 0 to 2**32 - 1')
    return Settings(
        **{key: bind(kind, config[key], f'config.{key}') for key, kind in types.items()}
    )


def check_best_metric(settings: Settings, task: Task) -> None:
    """Raises InputError unless the task measures `config.checkpoint.best_metric`."""
    metric, valid = settings.checkpoint.best_metric, task.evaluation.higher_is_better
    if metric not in valid:
        hint = nearest(metric, valid)
        raise InputError(f'config.checkpoint.best_metric={metric!r}: {hint}')


def check_contradictions(config: ml_collections.ConfigDict) -> None:
    """Looks at settings that mean nothing without others; only of a run that trains.

    The networks of runs that have them are loaded as ever.

    Raises:
      InputError: there are such; names the first.
    """
    for name in _optimizers(config):
        if config[name].schedule == 'multistep' and not config[name].milestones:
            raise InputError(
                f"config.{name}.schedule='multistep' changes nothing without config.{name}"
                ".milestones: give the updates at which the rate falls, or take 'constant'"
            )
    if config.train.memory_limit and not config.train.effective_batch_size:
        raise InputError(
            'config.train.memory_limit bounds what config.train.effective_batch_size is split '
            'into: give that too, the images of an update, or leave the limit out'
        )


def describe_warmups(config: ml_collections.ConfigDict) -> list[str]:
    """Returns a line for each optimizer whose warm-up does not end before the run."""
    steps = config.train.steps
    return [
        f'config.{name}.warmup_steps={config[name].warmup_steps} and config.train.steps={steps}: '
        f'the learning rate rises all the time, and never is that of config.{name}.learning_rate'
        for name in _optimizers(config)
        if config[name].warmup_steps >= steps
    ]


def _optimizers(config: ml_collections.ConfigDict) -> list[str]:
    """Returns the sections of optimizers: 'optimizer', and those of further networks."""
    return [name for name in config if name == 'optimizer' or name.endswith('_optimizer')]


def resolve(
    config: ml_collections.ConfigDict, mesh: Mesh, load: Load, report: Callable[[str], None]
) -> ml_collections.ConfigDict:
    """Returns the config completed by its task, the batch split as the memory allows; reports how.

    Args:
      config: as it was given; it is not changed.
      mesh: the devices.
      load: loads networks that the task needs and does not train.
      report: is given a line about each candidate.

    Raises:
      InputError: a batch does not split over the devices, or does not fit into the memory.
    """
    config = config.copy_and_resolve_references().unlock()
    tasks.make(config).complete(config, load)
    train = config.train
    check_batches(config, tasks.make(config))
    if train.effective_batch_size:
        plan = memory.choose(
            train.effective_batch_size,
            mesh.size,
            train.memory_limit or _min_memory(),
            lambda *candidate: measure_step(config, mesh, load, *candidate),
            report,
        )
        train.update(batch_size=plan.batch_size, accumulation=plan.accumulation, remat=plan.remat)
    sharding.check_batch_size(train.batch_size, mesh, 'config.train.batch_size')
    sharding.check_batch_size(config.evaluation.batch_size, mesh, 'config.evaluation.batch_size')
    return config.lock()


def check_batches(config: ml_collections.ConfigDict, task: Task) -> None:
    """Looks whether batches can be held by a process, once read and once on its devices.

    Args:
      config: of the run, complete.
      task: of it.

    Raises:
      InputError: this machine has too little memory for the images of one batch; names the keys.
    """
    train, evaluation = config.train, config.evaluation
    update = train.effective_batch_size or train.batch_size * train.accumulation
    of_update = 'config.train.effective_batch_size'
    if not train.effective_batch_size:
        of_update = 'config.train.batch_size times config.train.accumulation'
    size = sum(math.prod(x.shape) * x.dtype.itemsize for x in task.batch(1).values())
    free = memory.host_memory()
    for where, count, processes in (
        (of_update, update, jax.process_count()),
        ('config.evaluation.batch_size', evaluation.batch_size, 1),
    ):
        needed = 2 * size * count // processes
        if needed > free:
            raise InputError(
                f'{where} is {count}: so many examples of {memory.in_words(size)} take '
                f'{memory.in_words(needed)} at a time, and this machine has '
                f'{memory.in_words(free)} left: take fewer'
            )


def _min_memory() -> int:
    """Returns the bytes that a step may take on any device of all the processes."""
    return min(map(int, distributed.gather(str(memory.device_memory()))))


def measure_step(
    config: ml_collections.ConfigDict,
    mesh: Mesh,
    load: Load,
    batch_size: int,
    accumulation: int,
    remat: bool,
) -> int:
    """Returns the bytes of one device that the compiled step of a candidate takes.

    Args:
      config: of the run.
      mesh: the devices.
      load: see `resolve`.
      batch_size: images of a microbatch.
      accumulation: microbatches of an update.
      remat: whether activations are recomputed.
    """
    config = config.copy_and_resolve_references()
    config.train.update(batch_size=batch_size, accumulation=accumulation, remat=remat)
    task = tasks.make(config)
    tree = abstract_tree(task, mesh)
    frozen = jax.eval_shape(lambda: task.frozen(load, True))
    state = Stacking.of(task, mesh).stack(tree['state'])
    tree = {**tree, 'state': with_frozen(task, state, frozen)}
    step = jit_step(task, mesh, sharding.layout(tree, mesh), config)
    batch = task.batch(batch_size * accumulation)
    return memory.compiled_bytes(step.lower(tree, batch).compile())
