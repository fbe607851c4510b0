"""StyleGAN2's discriminator (Karras et al. 2019, arXiv:1912.04958): residual blocks that halve.

Its last layers see how much the images of a group differ from each other, so that images which are
all alike are noticed (Karras et al. 2017, arXiv:1710.10196, section 3).
"""

import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.equalized import EqualizedConvolution, EqualizedLinear
from sr_jax.layers.resolutions import channels_at, check_size, sides
from sr_jax.models.protocols import image_batch

EPSILON = 1e-8


class Block(nn.Module):
    """Two convolutions, the second of which halves the sides, beside one of a single tap."""

    channels: int
    features: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h/2 w/2 features']:
        """Features at half the size."""
        layer = functools.partial(EqualizedConvolution, dtype=self.dtype)
        y = layer(self.channels, name='conv_0')(x)
        y = layer(self.features, halving=True, name='conv_1')(y)
        skip = layer(self.features, 1, halving=True, activated=False, name='skip')(x)
        return (y + skip) * jnp.asarray(math.sqrt(0.5), x.dtype)


class Discriminator(nn.Module):
    """The discriminator; the defaults are those of configuration F for images of 256 pixels.

    Attributes:
      size: side of the images, a power of two from 8 to 1024.
      channel_base: channels times the side of a resolution; 16384 for half as many.
      channel_max: channels of a resolution at the most.
      group: images of a group whose differences are seen; fewer where they do not split so.
      dtype: name of the type that convolutions compute in; parameters and logits are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()

    size: int = 256
    channel_base: int = 32768
    channel_max: int = 512
    group: int = 4
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.size, self.size)

    @nn.compact
    def __call__(self, x: Float[Array, 'n s s 3'], train: bool = False) -> Float[Array, 'n 1']:
        """Logits of images in [0, 1].

        Raises:
          InputError: a size that is no power of two, or images of another one.
        """
        check_size(self.size)
        if x.shape[1:3] != (self.size, self.size):
            raise InputError(
                f'this discriminator takes images of {self.size} x {self.size}, not '
                f'{x.shape[1]} x {x.shape[2]}: crop them, or change size'
            )
        block = nn.remat(Block) if self.remat else Block
        widths = {s: channels_at(s, self.channel_base, self.channel_max) for s in sides(self.size)}
        x = (x.astype(jnp.float32) * 2 - 1).astype(self.dtype)
        x = EqualizedConvolution(widths[self.size], 1, dtype=self.dtype, name='conv_in')(x)
        for side in sides(self.size)[:0:-1]:
            x = block(widths[side], widths[side // 2], self.dtype, name=f'block_{side}')(x)
        x = add_deviation(x, self.group)
        x = EqualizedConvolution(widths[4], dtype=self.dtype, name='conv_out')(x)
        x = x.astype(jnp.float32).reshape(len(x), -1)
        x = EqualizedLinear(widths[4], activated=True, name='linear_0')(x)
        return EqualizedLinear(1, name='linear_1')(x)


def add_deviation(x: Float[Array, 'n h w c'], group: int) -> Float[Array, 'n h w c+1']:
    """Adds a channel: by how much the features of a group of images deviate from their mean.

    Of n images, each group takes every (n / group)-th one: so microbatches, which take every so
    manieth image, have the groups of the whole batch.
    """
    n, h, w, c = x.shape
    group = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    groups = x.astype(jnp.float32).reshape(group, n // group, h, w, c)
    deviation = jnp.sqrt(groups.var(axis=0) + EPSILON).mean(axis=(1, 2, 3))
    maps = jnp.tile(deviation, group)[:, None, None, None]
    return jnp.concatenate([x, jnp.broadcast_to(maps, (n, h, w, 1)).astype(x.dtype)], axis=-1)


Model = Discriminator
