"""A task's training step, compiled for the devices at hand."""

import contextlib
from typing import Any

import ml_collections
from jax.sharding import Mesh
from jaxtyping import PyTree

from sr_jax.devices import sharding
from sr_jax.layers.winograd import fewer_products
from sr_jax.tasks.task import Task

# Multiply-adds of a convolution in all steps, over its nine taps. With its gradients, so much saves
# two cores of a Zen 3 about the 0.6 s by which it is compiled longer.
WORTH_COMPILING = 2**31


def jit_step(task: Task, mesh: Mesh, layout: PyTree, config: ml_collections.ConfigDict) -> Any:
    """Returns what `sharding.jit_step` does of a task's step, as the config has it.

    In float32 on CPUs, 3 x 3 convolutions have few products, as have their gradients
    (`sr_jax.layers.winograd`): see `config.train.products`.

    Args:
      task: of the config.
      mesh: the devices.
      layout: how the tree of the step lies on them.
      config: of the run.
    """
    products = config.train.products
    on_cpu = mesh.devices.flat[0].platform == 'cpu'
    least = 0 if products == 'few' else WORTH_COMPILING / config.train.steps

    def train_step(*inputs: Any) -> Any:
        few = fewer_products(mesh.size, least, ('float32',))
        with few if on_cpu and products != 'all' else contextlib.nullcontext():
            return task.train_step(*inputs)

    return sharding.jit_step(train_step, mesh, layout, config.dtype)
