"""Frames of another size than the film's first: television changes it between broadcasts."""

import functools

import jax
import numpy as np
from jaxtyping import Array, Float

from sr_jax.film import color
from sr_jax.film.formats import ColorDescription, FrameKind, PixelFormat, Planes


def fit(
    planes: Planes, pixels: PixelFormat, kind: FrameKind, color: ColorDescription | None = None
) -> Planes:
    """Returns a frame with the size and the pixels of others, by Lanczos' filter.

    Each fills its picture, whatever the shape of its pixels, so the sides are stretched.

    Args:
      planes: [h, w] each.
      pixels: how they are stored.
      kind: of the others.
      color: what its samples mean; None: the same as of the others.
    """
    made = _fit(tuple(plane[None] for plane in planes), pixels, kind, color or kind.color)
    return tuple(np.asarray(plane)[0] for plane in made)


@functools.partial(jax.jit, static_argnames=('pixels', 'kind', 'taken'))
def _fit(
    planes: Planes, pixels: PixelFormat, kind: FrameKind, taken: ColorDescription
) -> tuple[Array, ...]:
    size = (kind.height, kind.width)
    rgb = _resize(color.to_rgb(planes, pixels, taken), size)
    alpha = None
    if pixels.alpha:
        alpha = _resize(color.to_alpha(planes, pixels)[..., None], size)[..., 0]
    return color.to_planes(rgb, kind.pixels, kind.color, alpha=alpha)


def _resize(
    images: Float[Array, 'n h w c'], size: tuple[int, int]
) -> Float[Array, 'n h2 w2 c']:
    shape = (len(images), *size, images.shape[-1])
    return jax.image.resize(images, shape, 'lanczos3')
