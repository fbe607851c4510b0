"""Sizes of a convolution and its routing that the GPU kernels are compiled for."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int32

from ..routing import band_rows

Arrays = tuple[Array, Array, Array]  # kernels, pixels and positions of a `Routing`


class Geometry(NamedTuple):
    """Sizes that are known when a kernel is compiled: of a convolution, and of its routing as flat
    arrays of segments [s], of their pixels [s, p] and of their blocks [s, t, m]."""

    images: int
    height: int
    width: int
    channels: int
    features: int
    breadth: int
    size: int
    stride: int
    groups: int
    segments: int
    pixels: int
    blocks: int
    block: int
    band_rows: int

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return -(-self.height // self.stride)

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return -(-self.width // self.stride)

    @property
    def outputs(self) -> int:
        """Pixels of the output; as a pixel's number, none."""
        return self.images * self.out_height * self.out_width

    @property
    def patch(self) -> int:
        """Numbers in a patch."""
        return self.size**2 * self.channels

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return -(-self.out_height // self.band_rows)


def geometry(
    images: tuple[int, ...], kernels: tuple[int, ...], routing: Arrays, segment: int, stride: int
) -> Geometry:
    """The sizes of a convolution of `images` [n, h, w, c] with `kernels` [b, k, k, c, o] and the
    arrays of a routing; `segment` and `stride` as there."""
    _, pixels, positions = routing
    groups, segments, blocks, block = pixels.shape
    count, height, width, channels = images
    shape = (count, -(-height // stride), -(-width // stride))
    return Geometry(
        images=count,
        height=height,
        width=width,
        channels=channels,
        features=kernels[-1],
        breadth=kernels[0],
        size=kernels[1],
        stride=stride,
        groups=groups,
        segments=groups * segments,
        pixels=positions.shape[2],
        blocks=blocks,
        block=block,
        band_rows=band_rows(shape, segment),
    )


def output_pixels(pixels: Int32[Array, 'g s t m'], g: Geometry) -> Int32[Array, 's t m']:
    """The pixels of the blocks as numbers of the flat output; `g.outputs` where there is none."""
    pixels = pixels.reshape(g.segments, g.blocks, g.block)
    segment = jnp.arange(g.segments, dtype=jnp.int32)[:, None, None]
    return jnp.where(pixels < g.pixels, number_of(segment, pixels, g), g.outputs)


def number_of(segment: Array, local: Array, g: Geometry) -> Array:
    """The number in the flat output of pixels of a segment; `g.outputs` outside of the images."""
    line = lax.div(local, like(g.out_width, local))
    column = local - line * g.out_width
    band = lax.div(line, like(g.band_rows, line))
    row = line - band * g.band_rows
    group = lax.div(segment, like(g.segments // g.groups, segment))
    each = g.pixels // (g.band_rows * g.out_width)
    band = band + (segment - group * (g.segments // g.groups)) * each
    image = lax.div(band, like(g.bands, band))
    row = row + (band - image * g.bands) * g.band_rows
    real = (row < g.out_height) & (image < g.images // g.groups)
    image = image + group * (g.images // g.groups)
    return jnp.where(real, (image * g.out_height + row) * g.out_width + column, g.outputs)


def like(value: int, array: Array) -> Array:
    """The value as int32 in the shape of the array: lax.div wants equal shapes."""
    return jnp.full(jnp.shape(array), value, jnp.int32)
