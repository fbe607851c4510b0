"""MUSIQ: a transformer that rates an image by patches of it at several sizes.

Ke et al. 2021, "MUSIQ: Multi-scale Image Quality Transformer" (arXiv:2108.05997), sections 3.1 to
3.4, as pyiqa has it, which resizes by PyTorch's bicubic interpolation where the authors take a
Gaussian. It rates images of any sides, and looks at no true image.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax.layers.parameter import parameter
from sr_jax.models.protocols import image_batch

PATCH = 32  # pixels a side
SIDES = (224, 384)  # of an image's smaller copies, the longer ones; it is taken as it is too
STEM = 64  # channels of the first convolution
GROUPS = 32  # of all group norms
CUBIC = -0.75  # of Keys' kernel, as PyTorch has it


class StandardizedConvolution(nn.Module):
    """A convolution of a kernel that is standardized (Qiao et al. 2019, arXiv:1903.10520).

    As many zeros are around as make ceil(side / stride) pixels, the odd one at the end.

    Attributes:
      features: channels of the output.
      taps: along each side.
      stride: step along each side.
    """

    features: int
    taps: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 features']:
        """Convolves x."""
        shape = (self.taps, self.taps, x.shape[-1], self.features)
        kernel = jnp.asarray(parameter(self, 'kernel', nn.initializers.he_normal(), shape))
        kernel -= kernel.mean(axis=(0, 1, 2))[None, None, None]
        kernel /= kernel.std(axis=(0, 1, 2), ddof=1)[None, None, None] + 1e-5
        layout = ('NHWC', 'HWIO', 'NHWC')
        strides = (self.stride, self.stride)
        return jax.lax.conv_general_dilated(x, kernel, strides, 'SAME', dimension_numbers=layout)


class Stem(nn.Module):
    """Features of patches: a convolution, a pooling and a bottleneck of a ResNet."""

    @nn.compact
    def __call__(self, x: Float[Array, 'n 32 32 3']) -> Float[Array, 'n 8 8 256']:
        """The features of each patch."""
        x = StandardizedConvolution(STEM, 7, 2, name='root')(x)
        x = nn.relu(nn.GroupNorm(GROUPS, epsilon=1e-6, name='root_norm')(x))
        x = nn.max_pool(x, (3, 3), (2, 2), 'SAME')
        skip = self._normed(x, 'skip', 4 * STEM, 1)
        h = nn.relu(self._normed(x, 'conv_0', STEM, 1))
        h = nn.relu(self._normed(h, 'conv_1', STEM, 3))
        return nn.relu(self._normed(h, 'conv_2', 4 * STEM, 1) + skip)

    def _normed(self, x: Array, name: str, features: int, taps: int) -> Array:
        x = StandardizedConvolution(features, taps, name=name)(x)
        return nn.GroupNorm(GROUPS, epsilon=1e-4, name=f'{name}_norm')(x)


class Block(nn.Module):
    """A block of a transformer, norms first.

    Attributes:
      heads: of the attention.
      hidden: features inside of its second half.
    """

    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x: Float[Array, 'n tokens c']) -> Float[Array, 'n tokens c']:
        """Tokens of the same shape."""
        n, tokens, channels = x.shape
        y = _layer_norm('norm_0')(x)
        q, k, v = (
            nn.Dense(channels, name=name)(y).reshape(n, tokens, self.heads, -1)
            for name in ('query', 'key', 'value')
        )
        seen = jax.nn.dot_product_attention(q, k, v).reshape(x.shape)
        x = x + nn.Dense(channels, name='out')(seen)
        h = nn.gelu(nn.Dense(self.hidden, name='fc1')(_layer_norm('norm_1')(x)), approximate=False)
        return x + nn.Dense(channels, name='fc2')(h)


class Musiq(nn.Module):
    """MUSIQ; the defaults are the published networks'.

    Attributes:
      features: of a token.
      num_layers: blocks of the transformer.
      heads: of each.
      hidden: features inside of each.
      grid: places along a side that patches of all sizes are told.
      classes: 1 for a number, or those marks, from 1 on, whose probabilities it finds.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_layers',)

    features: int = 384
    num_layers: int = 14
    heads: int = 6
    hidden: int = 1152
    grid: int = 10
    classes: int = 1

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 40, 72)

    @nn.compact
    def __call__(self, images: Float[Array, 'n h w 3']) -> Float[Array, ' n']:
        """The ratings of RGB images in [0, 1], the more the better."""
        start = nn.initializers.normal(0.02)
        sizes = [*(_fit_side(images.shape[1:3], side) for side in SIDES), images.shape[1:3]]
        places = parameter(self, 'places', start, (self.grid**2, self.features))
        scales = parameter(self, 'scales', start, (len(sizes), self.features))
        patches = [_split(_resize(2 * images - 1, size)) for size in sizes]
        count = [split.shape[1] for split in patches]
        x = Stem(name='stem')(jnp.concatenate(patches, axis=1).reshape(-1, PATCH, PATCH, 3))
        x = x.reshape(len(images), sum(count), -1)
        x = nn.Dense(self.features, name='embedding')(x)
        found = np.concatenate([_hash(size, self.grid) for size in sizes])
        x += (jnp.asarray(places)[found] + jnp.asarray(scales)[np.repeat(range(3), count)])[None]
        first = parameter(self, 'first', nn.initializers.zeros, (self.features,))
        first = jnp.broadcast_to(jnp.asarray(first), (len(x), 1, self.features))
        x = jnp.concatenate([first, x], axis=1)
        for i in range(self.num_layers):
            x = Block(self.heads, self.hidden, name=f'block_{i}')(x)
        x = nn.Dense(self.classes, name='head')(_layer_norm('norm')(x)[:, 0])
        if self.classes == 1:
            return x[:, 0]
        return nn.softmax(x) @ jnp.arange(1.0, self.classes + 1)


def _layer_norm(name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=1e-6, use_fast_variance=False, name=name)


def _fit_side(size: Sequence[int], longer: int) -> tuple[int, int]:
    """Height and width with a longer side of so many pixels."""
    ratio = longer / max(size)
    height, width = (max(round(side * ratio), 1) for side in size)
    return height, width


def _resize(
    images: Float[Array, 'n h w c'], size: Sequence[int]
) -> Float[Array, 'n h2 w2 c']:
    """Images resized as PyTorch's bicubic interpolation does, not antialiased."""
    if images.shape[1:3] == tuple(size):
        return images
    down, across = map(_cubic_matrix, images.shape[1:3], size)
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum('ih,jw,nhwc->nijc', down, across, images, precision=exact)


def _cubic_matrix(side: int, new: int) -> Float[np.ndarray, 'new side']:
    """The weights of old pixels in new ones along an axis; those beyond the edge are the edge's."""
    place = (np.arange(new) + 0.5) * (side / new) - 0.5
    taps = np.floor(place).astype(int)[:, None] + np.arange(-1, 3)
    t = np.abs(place[:, None] - taps)
    near = (CUBIC + 2) * t**3 - (CUBIC + 3) * t**2 + 1
    far = CUBIC * (t**3 - 5 * t**2 + 8 * t - 4)
    matrix = np.zeros((new, side), np.float32)
    rows = np.arange(new)[:, None]
    np.add.at(matrix, (rows, np.clip(taps, 0, side - 1)), np.where(t <= 1, near, far))
    return matrix


def _split(images: Float[Array, 'n h w c']) -> Float[Array, 'n patches 32 32 c']:
    """The patches of images row by row, with zeros around to make them whole."""
    n, *sides, channels = images.shape
    counts = [math.ceil(side / PATCH) for side in sides]
    missing = [PATCH * count - side for count, side in zip(counts, sides, strict=True)]
    around = [(lack // 2, lack - lack // 2) for lack in missing]
    images = jnp.pad(images, ((0, 0), *around, (0, 0)))
    images = images.reshape(n, counts[0], PATCH, counts[1], PATCH, channels).swapaxes(2, 3)
    return images.reshape(n, -1, PATCH, PATCH, channels)


def _hash(size: Sequence[int], grid: int) -> Int[np.ndarray, ' patches']:
    """The places of an image's patches on a grid, told in float32 as PyTorch does."""
    rows, columns = (
        np.floor(np.arange(count, dtype=np.float32) * np.float32(grid / count)).astype(int)
        for count in (math.ceil(side / PATCH) for side in size)
    )
    return np.minimum(rows[:, None] * grid + columns, grid**2 - 1).reshape(-1)


Model = Musiq
