"""A network on an array of which only the upper left part is picture, as if it were the picture."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from sr_jax.layers.convolution import Convolution
from sr_jax.layers.in_patches import patch_at_hand
from sr_jax.layers.joint_convolution import JointConvolution

LOOKING_AROUND = (Convolution, JointConvolution)


def apply_within(
    module: nn.Module,
    variables: dict[str, Any],
    x: Float[Array, 'n h w c'],
    valid: Int[Array, 'n 2'],
    *inputs: Any,
    method: str = '__call__',
) -> Float[Array, 'n h2 w2 c2']:
    """Applies a network whose convolutions see zeros where the picture has ended.

    Their own padding is of zeros too, so that inside of the picture the result is that of the
    picture alone, whatever its size: one compiled function serves all that fit into x. It holds for
    networks that look over a pixel's edge by `Convolution` and `JointConvolution` only, or by what
    continues the edge.

    Args:
      module: the network.
      variables: its collections.
      x: the pictures; beyond each its edge is repeated.
      valid: rows and columns of each that are picture.
      inputs: further ones of the network.
      method: of the network that is called.
    """

    def held(features: Array) -> Array:
        rows, columns = (
            _inside(axis, features.shape[axis + 1], x.shape[axis + 1], valid[:, axis])
            for axis in (0, 1)
        )
        inside = rows[:, :, None, None] & columns[:, None, :, None]
        return jnp.where(inside, features, 0)

    def hold_at_zero(call, args, kwargs, context):
        if not isinstance(context.module, LOOKING_AROUND) or context.method_name != '__call__':
            return call(*args, **kwargs)
        features, *others = args
        return call(jax.tree.map(held, features), *others, **kwargs)

    with nn.intercept_methods(hold_at_zero):
        return module.apply(variables, x, *inputs, method=method)  # type: ignore[return-value]


def _inside(
    axis: int, length: int, pixels: int, valid: Int[Array, ' n']
) -> Bool[Array, 'n length']:
    """Which of the rows (axis 0) or columns (1) of features lie in the pictures.

    Args:
      axis: 0 or 1.
      length: of the features, which may be those of a patch (`in_patches`), along it.
      pixels: of the array that holds the pictures.
      valid: those of each that are picture.
    """
    places = jnp.arange(length)
    if patch := patch_at_hand():
        factor = length // patch.sides[axis]
        places += patch.starts[axis] * factor
        length = patch.whole[axis] * factor
    # The fraction is reduced, since the products of long sides would not fit into 32 bits.
    common = math.gcd(length, pixels)
    return places[None, :] * (pixels // common) < valid[:, None] * (length // common)
