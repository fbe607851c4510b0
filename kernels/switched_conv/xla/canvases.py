"""What of the images the segments of a routing cover, cut out and put together again."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int32

from ..routing import Routing, split_bands


class Cover(NamedTuple):
    """What of x [n, h, w, c] the segments of a routing cover: canvases [bands, h', w', c], one for
    each segment, which hold what the patches of its bands reach, with zeros around x."""

    routing: Routing
    shape: tuple[int, ...]
    size: int
    stride: int

    def segments(self) -> Int32[Array, 's']:
        """The numbers of the segments of a group."""
        return jnp.arange(self.routing.positions.shape[1], dtype=jnp.int32)

    def group(self, x: Float[Array, 'n h w c']) -> Float[Array, 'g m h w c']:
        """The images of each group."""
        return x.reshape(len(self.routing.positions), -1, *self.shape[1:])

    def cut(self, x: Float[Array, 'm h w c'], index: Int32[Array, '']) -> Float[Array, 't r q c']:
        """The canvas of a segment of a group's images."""
        lines = x.reshape(-1, *x.shape[2:])
        lines = lines.at[self._lines(x, index)].get(mode='fill', fill_value=0)
        return _widen(lines, *self._margins)

    def add(
        self, x: Float[Array, 'm h w c'], canvas: Float[Array, 't r q c'], index: Int32[Array, '']
    ) -> Float[Array, 'm h w c']:
        """Adds the canvas of a segment to the images that it was cut out of."""
        left, right = self._margins
        lines = x.reshape(-1, *x.shape[2:]).at[self._lines(x, index)]
        return lines.add(_widen(canvas, -left, -right), mode='drop').reshape(x.shape)

    def _lines(self, x, index):
        """The lines [bands, h'] of the images that a segment covers; past the end, where a
        image has none."""
        routing, (images, height) = self.routing, x.shape[:2]
        band = index * routing.bands_per_segment + np.arange(routing.bands_per_segment)
        image, part = band // routing.bands, band % routing.bands
        covered = (routing.band_rows - 1) * self.stride + self.size
        line = part[:, None] * (routing.band_rows * self.stride) - self.size // 2
        line = line + np.arange(covered)[None, :]
        inside = (line >= 0) & (line < height) & (image[:, None] < images)
        return jnp.where(inside, image[:, None] * height + line, images * height)

    @property
    def _margins(self):
        """Zeros to add to a line of x on its left and on its right; less than none crop it."""
        left, wide = self.size // 2, (self.routing.shape[2] - 1) * self.stride + self.size
        return left, wide - self.shape[2] - left


def _widen(lines, left, right):
    """Zeros on both sides of lines [t, r, w, c]."""
    zero = jnp.zeros((), lines.dtype)
    return lax.pad(lines, zero, [(0, 0, 0), (0, 0, 0), (left, right, 0), (0, 0, 0)])


def split_pixels(y: Float[Array, 'n h2 w2 o'], routing: Routing) -> Float[Array, 'g s p o']:
    """Deal the output pixels out to the segments."""
    images, height, width, features = y.shape
    rows, bands = routing.band_rows, routing.bands
    y = jnp.pad(y, ((0, 0), (0, bands * rows - height), (0, 0), (0, 0)))
    y = y.reshape(images * bands, rows * width, features)
    y = split_bands(y, len(routing.positions), rows * width, routing.segment, 0)
    return y.reshape(*y.shape[:2], -1, features)


def join_pixels(y: Float[Array, 'g s p o'], routing: Routing) -> Float[Array, 'n h2 w2 o']:
    """Put the segments' pixels together."""
    images, height, width = routing.shape
    rows, bands, features = routing.band_rows, routing.bands, y.shape[-1]
    y = y.reshape(len(y), -1, rows, width, features)[:, : images * bands // len(y)]
    return y.reshape(images, bands * rows, width, features)[:, :height]
