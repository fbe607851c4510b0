"""A task's training step and its predictions, compiled for the devices at hand."""

from collections.abc import Callable
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
# Of one in a prediction: some twenty, of the images of a validation, save what compiling it takes.
WORTH_COMPILING_ONCE = 2**28


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
    least = WORTH_COMPILING / config.train.steps
    step = _with_few_products(task.train_step, mesh, config.train.products, least)
    return sharding.jit_step(step, mesh, layout, config.dtype)


def jit_predict(task: Task, mesh: Mesh, config: ml_collections.ConfigDict) -> Any:
    """Returns what `sharding.jit_predict` does of a task, with few products as `jit_step`."""
    least = WORTH_COMPILING_ONCE
    predict = _with_few_products(task.predict, mesh, config.train.products, least)
    return sharding.jit_predict(predict, mesh, config.dtype)


def _with_few_products(
    function: Callable[..., Any], mesh: Mesh, products: str, least: float
) -> Callable[..., Any]:
    """Returns a function that is traced so, where products are to be few.

    Args:
      function: of a task.
      mesh: the devices.
      products: of `config.train`.
      least: work for which it is worth it, see `fewer_products`.
    """
    if products == 'all' or mesh.devices.flat[0].platform != 'cpu':
        return function

    def apply(*inputs: Any) -> Any:
        with fewer_products(mesh.size, 0 if products == 'few' else least, ('float32',)):
            return function(*inputs)

    return apply
