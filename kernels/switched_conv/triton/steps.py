"""How the gradient of x by unfolding goes over the segments of a routing."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from .block_sizes import BlockSizes
from .geometry import Geometry


class Steps:
    """`count` steps of `segments` each.

    Segments are whole images, some at a time, or bands of images, one at a time; a step takes
    segments of one image then, and the sums of its last rows, `tail` of them, are finished by the
    next step. `lines`: rows of output that a step holds of an image; `canvas`: rows of x that a
    step writes or passes on for each of its images, beginning size // 2 above the first.
    """

    def __init__(self, g: Geometry, sizes: BlockSizes, itemsize: int) -> None:
        max_numbers = min(sizes.unfold_bytes // itemsize, 2**31 - 1)  # kernels count in int32
        room = max(1, max_numbers // (g.pixels * g.patch))
        self.tail = max(g.size - g.stride, 0) if g.bands > 1 else 0
        if g.bands > 1:
            self.segments = min(room, g.bands)
            self.per_image = -(-g.bands // self.segments)
            self.count = g.images * self.per_image
            self.images = 1
            self.lines = self.segments * g.band_rows
        else:
            self.segments = min(room, g.segments)
            self.per_image = 1
            self.count = -(-g.segments // self.segments)
            self.images = self.segments * (g.pixels // (g.out_height * g.out_width))
            self.lines = g.out_height
        self.canvas = self.lines * g.stride + max(g.size - g.stride, g.size // 2)

    def first(self, step: Any, g: Geometry) -> tuple[Any, Any]:
        """The first segment of a step, and the segment after its last."""
        if g.bands == 1:
            first = step * self.segments
            return first, jnp.minimum(first + self.segments, g.segments)
        image = lax.div(step, jnp.int32(self.per_image))
        band = (step - image * self.per_image) * self.segments
        return image * g.bands + band, image * g.bands + jnp.minimum(band + self.segments, g.bands)
