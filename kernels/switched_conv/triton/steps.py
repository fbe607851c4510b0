"""How the gradient of x by unfolding goes over the segments of a routing."""

import dataclasses

from .block_sizes import BlockSizes
from .geometry import Geometry


@dataclasses.dataclass(frozen=True)
class Steps:
    """`count` steps of `segments` each.

    Segments are whole images, some at a time, or bands of images, one at a time; a step takes
    segments of one image then, `per_image` steps for each, and the sums of its last rows, `tail` of
    them, are finished by the next step. `images` of a step; `lines`: rows of output that a step
    holds of an image; `canvas`: rows of x that a step writes or passes on for each of its images,
    beginning size // 2 above the first.
    """

    count: int
    segments: int
    per_image: int
    images: int
    lines: int
    tail: int
    canvas: int


def plan_steps(g: Geometry, sizes: BlockSizes, itemsize: int) -> Steps:
    """The steps of so many segments as fit into the memory that the block sizes allow."""
    max_numbers = min(sizes.unfold_bytes // itemsize, 2**31 - 1)  # kernels count in int32
    room = max(1, max_numbers // (g.pixels * g.patch))
    below = max(g.size - g.stride, g.border)
    if g.bands > 1:
        segments = min(room, g.bands)
        per_image, lines = -(-g.bands // segments), segments * g.band_rows
        count, images, tail = g.images * per_image, 1, max(g.size - g.stride, 0)
    else:
        segments = min(room, g.segments)
        per_image, lines = 1, g.out_height
        count, images, tail = -(-g.segments // segments), segments * g.images_per_segment, 0
    return Steps(count, segments, per_image, images, lines, tail, lines * g.stride + below)
