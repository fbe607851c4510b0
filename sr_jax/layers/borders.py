"""Where the arrays at hand lie in an image, so that convolutions see zeros beyond its edges.

Convolutions give what they are about to look at to `zero_outside`. Usually that returns it as it
is: the convolution's own padding is of zeros. Inside of `apply_within`, images end before their
arrays do; inside of `in_patches`, an array is a part of a larger one.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int


class Patch(NamedTuple):
    """Where the part of an array lies that is at hand; a number for rows and one for columns each.

    Attributes:
      starts: its first pixel in the whole array; traced.
      sides: its own.
      whole: those of the whole array.
    """

    starts: tuple[Array, ...]
    sides: tuple[int, ...]
    whole: tuple[int, ...]


class Images(NamedTuple):
    """How much of an array is image.

    Attributes:
      sides: rows and columns of the array.
      valid: those of each of its images, which begin in its upper left corner.
    """

    sides: tuple[int, ...]
    valid: Int[Array, 'n 2']


# Set while a layer is traced, so each thread has its own.
_patch: contextvars.ContextVar[Patch | None] = contextvars.ContextVar('patch', default=None)
_images: contextvars.ContextVar[Images | None] = contextvars.ContextVar(
    'images', default=None
)


@contextlib.contextmanager
def _while_set(variable: contextvars.ContextVar, value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def at_patch(patch: Patch) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which arrays are such a part of what they were outside."""
    return _while_set(_patch, patch)


def apply_within(
    module: nn.Module,
    variables: dict[str, Any],
    x: Float[Array, 'n h w c'],
    valid: Int[Array, 'n 2'],
    *inputs: Any,
    method: str = '__call__',
) -> Float[Array, 'n h2 w2 c2']:
    """Applies a network to an array of which only the upper left part is image.

    Inside of the image the result is that of the image alone, whatever its size: one compiled
    function serves all that fit into x. It holds for networks that look over a pixel's edge by
    convolutions that call `zero_outside`, or by what continues the edge.

    Args:
      module: the network.
      variables: its collections.
      x: the images; beyond each its edge is repeated.
      valid: rows and columns of each that are image.
      inputs: further ones of the network.
      method: of the network that is called.
    """
    with _while_set(_images, Images(x.shape[1:3], valid)):
        return module.apply(variables, x, *inputs, method=method)  # type: ignore[return-value]


def zero_outside(features: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
    """Returns the features with zeros where there is no image."""
    inside = find_inside(features.shape[1:3])
    return features if inside is None else jnp.where(inside, features, 0)


def find_inside(sides: tuple[int, ...]) -> Bool[Array, 'n h w 1'] | None:
    """Returns where in features of such sides there is image; None: everywhere."""
    images = _images.get()
    if images is None:
        return None
    rows, columns = (_find_along(axis, sides[axis], images) for axis in (0, 1))
    return rows[:, :, None, None] & columns[:, None, :, None]


def _find_along(axis: int, length: int, images: Images) -> Bool[Array, 'n length']:
    """Returns which of the rows (axis 0) or columns (1) of features lie in the images.

    The features may be larger or smaller than the array that the images lie in, by one factor.
    """
    places, pixels = jnp.arange(length), images.sides[axis]
    if patch := _patch.get():
        factor = length // patch.sides[axis]
        places += patch.starts[axis] * factor
        length = patch.whole[axis] * factor
    # The fraction is reduced, since the products of long sides would not fit into 32 bits.
    common = math.gcd(length, pixels)
    valid = images.valid[:, axis, None] * (length // common)
    return places[None, :] * (pixels // common) < valid
