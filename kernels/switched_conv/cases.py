"""The shapes that tests, compile checks and benchmarks of the switched convolution share."""

from typing import Any, NamedTuple

import jax

DTYPES = ('bfloat16', 'float16', 'float32')


class Case(NamedTuple):
    """Sizes of one switched convolution."""

    images: int
    height: int
    width: int
    channels: int
    features: int
    breadth: int
    size: int
    stride: int


# Small enough to compare with the reference, values and gradients, in a fast test.
SMALL = (
    Case(2, 7, 9, 3, 4, breadth=5, size=3, stride=1),
    Case(1, 11, 6, 3, 2, breadth=3, size=5, stride=2),
    Case(3, 5, 5, 4, 3, breadth=4, size=1, stride=3),
    Case(1, 9, 10, 2, 5, breadth=8, size=7, stride=3),
    Case(2, 1, 13, 5, 1, breadth=1, size=3, stride=2),
    Case(1, 4, 4, 2, 2, breadth=64, size=3, stride=1),
    Case(1, 3, 2, 1, 1, breadth=256, size=5, stride=1),
)

# The first two of these with other channels: no two sizes are equal, so that exchanged axes show.
UNEQUAL = (
    Case(2, 7, 9, 4, 6, breadth=5, size=3, stride=1),
    Case(1, 11, 6, 4, 8, breadth=3, size=5, stride=2),
)

# What networks of the project use, from the image's 3 channels to 512, and odd sizes.
NETWORKS = (
    Case(4, 64, 64, 64, 64, breadth=8, size=3, stride=1),
    Case(4, 64, 64, 64, 64, breadth=64, size=3, stride=1),
    Case(2, 64, 64, 64, 128, breadth=8, size=5, stride=2),
    Case(2, 128, 128, 64, 3, breadth=8, size=5, stride=1),
    Case(2, 63, 65, 3, 64, breadth=2, size=7, stride=1),
    Case(1, 33, 47, 48, 24, breadth=16, size=3, stride=3),
    Case(1, 16, 16, 512, 512, breadth=8, size=3, stride=1),
    Case(2, 32, 32, 128, 128, breadth=32, size=1, stride=1),
    Case(1, 200, 190, 8, 8, breadth=16, size=3, stride=2),
)

# What the roofline in README.md is for: the feasibility study's, more kernels, more channels, the
# first layer of an encoder and the last of a decoder.
ROOFLINE = (
    Case(16, 256, 256, 64, 64, breadth=8, size=3, stride=1),
    Case(16, 256, 256, 64, 64, breadth=64, size=3, stride=1),
    Case(32, 64, 64, 128, 128, breadth=8, size=3, stride=1),
    Case(32, 64, 64, 128, 64, breadth=8, size=5, stride=1),
    Case(16, 256, 256, 64, 128, breadth=8, size=5, stride=2),
)


def random_arguments(case: Case, dtype: str) -> tuple[Any, ...]:
    """Random x, selector, kernel, bias and cotangent of a case, drawn on the device."""
    pixels = (case.images, -(-case.height // case.stride), -(-case.width // case.stride))
    taps = (case.breadth, case.size, case.size, case.channels, case.features)
    keys = jax.random.split(jax.random.key(0), 5)
    x = jax.random.normal(keys[0], case[:4], dtype)
    selector = jax.random.randint(keys[1], pixels, 0, case.breadth, 'int32')
    kernel = jax.random.normal(keys[2], taps, dtype)
    bias = jax.random.normal(keys[4], (case.features,), dtype)
    cotangent = jax.random.normal(keys[3], (*pixels, case.features), dtype)
    return x, selector, kernel, bias, cotangent


def describe(case: Case) -> str:
    """A case in a few words."""
    return (
        f'{case.images} x {case.height} x {case.width}, {case.channels} to {case.features}, '
        f'k = {case.size}, s = {case.stride}, b = {case.breadth}'
    )
