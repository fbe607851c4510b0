"""Weights and images that a seed brings back, for fixtures that need not hold them.

The legacy generator of NumPy is frozen: its numbers are the same in every version.
"""

import math
import zlib

import numpy as np


def array(name, shape):
    """Normal numbers that depend on the name: kernels (OIHW) keep the size of what they are given.

    Biases and running means are small, scales and variances are near 1.
    """
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(math.prod(shape))
    numbers = numbers.reshape(shape)
    if len(shape) == 4:
        numbers *= math.sqrt(2 / math.prod(shape[1:]))
    elif name.endswith(('bias', 'running_mean')):
        numbers *= 0.1
    else:
        numbers = np.exp(0.1 * numbers)
    return numbers.astype(np.float32)


def state(shapes):
    """A state dictionary for the shapes of its arrays by name."""
    return {name: array(name, shape) for name, shape in shapes.items()}


def images(seed, count, height, width):
    """Smooth images with noise, uint8 [count, height, width, 3]."""
    random = np.random.RandomState(seed)
    low = random.uniform(0, 255, (count, -(-height // 8), -(-width // 8), 3))
    smooth = low.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return np.clip(smooth + random.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)
