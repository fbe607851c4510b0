"""Sizes of a convolution and its routing that the GPU kernels are compiled for."""

import dataclasses

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int32

from ..routing import band_rows

Arrays = tuple[Array, Array, Array]  # kernels, pixels and positions of a `Routing`
MIN_CHANNELS = 16  # fewer than these, and a chunk of a patch spans taps


@dataclasses.dataclass(frozen=True)
class Geometry:
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
    def inputs(self) -> int:
        """Pixels of x."""
        return self.images * self.height * self.width

    @property
    def outputs(self) -> int:
        """Pixels of the output; as a pixel's number, none."""
        return self.images * self.out_height * self.out_width

    @property
    def patch(self) -> int:
        """Numbers in a patch."""
        return self.size**2 * self.channels

    @property
    def border(self) -> int:
        """Taps beside the one in the middle."""
        return self.size // 2

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return -(-self.out_height // self.band_rows)

    @property
    def bands_per_segment(self) -> int:
        """Bands of a segment."""
        return self.pixels // (self.band_rows * self.out_width)

    @property
    def images_per_segment(self) -> int:
        """Whole images of a segment; none where it holds a band of one."""
        return self.pixels // (self.out_height * self.out_width)

    @property
    def segments_per_group(self) -> int:
        """Segments of a group."""
        return self.segments // self.groups

    @property
    def images_per_group(self) -> int:
        """Images of a group."""
        return self.images // self.groups

    @property
    def narrow(self) -> bool:
        """Whether channels are so few that a chunk of a patch spans taps."""
        return self.channels < MIN_CHANNELS

    @property
    def large(self) -> bool:
        """Whether a place in x or the output does not fit into 32 bits."""
        return max(self.inputs * self.channels, self.outputs * self.features) >= 2**31

    def patch_steps(self, depth: int) -> int:
        """In how many chunks of so many columns a patch is taken."""
        if self.narrow:
            return -(-self.patch // depth)
        return self.size**2 * -(-self.channels // depth)


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


def flat_selector(routing: Arrays, g: Geometry) -> Int32[Array, 'p']:
    """The selector that was routed, of all outputs; -1 where there is no kernel."""
    kernels, pixels, positions = (array.reshape(g.segments, -1) for array in routing)
    del pixels
    block = lax.div(positions, jnp.full_like(positions, g.block))
    known = positions < g.blocks * g.block
    chosen = jnp.take_along_axis(kernels, jnp.minimum(block, g.blocks - 1), axis=1)
    chosen = jnp.where(known, chosen, -1).reshape(g.groups, -1)
    # Bands that fill up an image, and images that fill up a group, lie at an end.
    chosen = chosen.reshape(g.groups, -1, g.band_rows * g.out_width)
    chosen = chosen[:, : g.images_per_group * g.bands]
    chosen = chosen.reshape(g.images, g.bands * g.band_rows, g.out_width)
    return chosen[:, : g.out_height].reshape(-1)
