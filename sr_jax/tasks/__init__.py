"""Tasks: the only place where networks meet losses."""

import jax
import ml_collections

from sr_jax.config.binding import find_module
from sr_jax.config.extension import extend
from sr_jax.tasks.task import Task, in_float32

__path__ = extend(__path__, __name__)


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config: `sr_jax.tasks.<config.task>.make(config)`, in float32.

    Raises:
      InputError: no such task, or a key of the config that the task does not take.
    """
    module = find_module('sr_jax.tasks', config.task, 'config.task', 'make')
    with jax.enable_x64(False):
        return in_float32(module.make(config))
