"""Planes of frames, and what becomes of them."""

import jax
import numpy as np

from sr_jax.film.formats import ColorDescription, FrameKind, PixelFormat, plane_sizes
from sr_jax.film.tags import choose_output, resolve
from sr_jax.inference.film.frames import Change
from sr_jax.inference.upscaler import Upscaler

SIZE = (14, 18)
SCALE = 2
YUV_444 = PixelFormat('yuv', 8)
YUV_420 = PixelFormat('yuv', 8, 2, 2)


def make_change(pixels, scale=SCALE, size=SIZE, after=None, **more):
    """From frames of a kind to the same, enlarged, or to other pixels."""
    height, width = size
    color = resolve(ColorDescription(), pixels, height)
    after = after or pixels
    meant = choose_output(color, after, (height, scale * height))
    sides = (scale * height, scale * width * (1 + more.get('compare', False)))
    return Change(FrameKind(*size, pixels, color), FrameKind(*sides, after, meant), **more)


def draw(pixels, count, size=SIZE, seed=0):
    """Planes of every value that fits."""
    rng = np.random.default_rng(seed)
    kind = np.uint8 if pixels.depth == 8 else np.uint16
    sizes = plane_sizes(pixels, *size)
    return tuple(rng.integers(0, 2**pixels.depth, (count, *side), kind) for side in sizes)


def upscaler(net, devices=1, **options):
    return Upscaler(net, bounded=False, devices=jax.devices()[:devices], **options)
