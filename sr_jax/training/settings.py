"""The sections of a config that the trainer reads, and the batch fitted into the memory."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from jax.sharding import Mesh

from sr_jax import tasks
from sr_jax.checkpoints.retention import check_best_metric
from sr_jax.checkpoints.run import abstract_state, with_frozen
from sr_jax.config.binding import bind, check_keys
from sr_jax.config.settings import (
    CheckpointSettings,
    DataSettings,
    EvaluationSettings,
    LogSettings,
    TrainSettings,
)
from sr_jax.devices import distributed, memory, sharding
from sr_jax.metrics.protocol import parse


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
      InputError: a section or key that is missing, unknown or of the wrong type, a protocol that
        is not known, or a metric of which it is not known which values are better.
    """
    types = Settings.__annotations__
    check_keys(config, types, config, 'config')
    settings = Settings(
        **{key: bind(kind, config[key], f'config.{key}') for key, kind in types.items()}
    )
    parse(settings.evaluation.protocol)
    check_best_metric(settings.checkpoint)
    return settings


def resolve(
    config: ml_collections.ConfigDict, mesh: Mesh, report: Callable[[str], None]
) -> ml_collections.ConfigDict:
    """Returns the config with the batch split as the memory allows, and reports how.

    Raises:
      InputError: the batch does not split over the devices, or does not fit into the memory.
    """
    config = config.copy_and_resolve_references()
    train = config.train
    if train.effective_batch_size:
        plan = memory.choose(
            train.effective_batch_size,
            mesh.size,
            train.memory_limit or _min_memory(),
            lambda *candidate: _step_bytes(config, mesh, *candidate),
            report,
        )
        train.update(batch_size=plan.batch_size, accumulation=plan.accumulation, remat=plan.remat)
    sharding.check_batch_size(train.batch_size, mesh, 'config.train.batch_size')
    sharding.check_batch_size(config.evaluation.batch_size, mesh, 'config.evaluation.batch_size')
    return config.lock()


def _min_memory() -> int:
    """Returns the bytes that a step may take on any device of all the processes."""
    return min(map(int, distributed.gather(str(memory.device_memory()))))


def _step_bytes(config, mesh, batch_size: int, accumulation: int, remat: bool) -> int:
    """Returns the memory of one device that the compiled step of a candidate takes."""
    config = config.copy_and_resolve_references()
    config.train.update(batch_size=batch_size, accumulation=accumulation, remat=remat)
    task = tasks.make(config)
    tree = abstract_state(config, task, mesh)
    tree = with_frozen(tree, jax.eval_shape(task.frozen))
    size = config.data.crop_size
    images = (batch_size * accumulation, size, size, 3)
    batch = {'hq': jax.ShapeDtypeStruct(images, jnp.float32)}
    if config.data.source.startswith('paired:'):
        side = size // config.model.scale
        batch['lq'] = jax.ShapeDtypeStruct((images[0], side, side, 3), jnp.float32)
    step = sharding.jit_step(task.train_step, mesh, sharding.layout(tree, mesh))
    return memory.compiled_bytes(step.lower(tree, batch).compile())
