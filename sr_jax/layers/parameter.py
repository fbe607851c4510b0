"""Parameters of layers, which are made once and found at every other call."""

import flax.errors
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array


def parameter(
    module: nn.Module, name: str, init: nn.initializers.Initializer, shape: tuple[int, ...]
) -> Array:
    """Returns `module.param(name, init, shape, jnp.float32)`, also where JAX has x64 enabled.

    Flax traces at each call how a parameter that is there was made, to compare the shapes, which
    takes up to a third of the time in which a training step is traced. Here it is not made again.

    Raises:
      ScopeParamShapeError: it has another shape.
    """
    if not module.has_variable('params', name):
        return module.param(name, init, shape, jnp.float32)
    value: Array = module.get_variable('params', name)
    if np.shape(value) != tuple(shape):
        path = '/' + '/'.join(module.path)
        raise flax.errors.ScopeParamShapeError(name, path, np.shape(value), tuple(shape))
    return value
