"""The feature layers of VGG16 and VGG19 (Simonyan and Zisserman 2014, arXiv:1409.1556).

For perceptual losses and metrics: the classifying layers are left out, and nothing is trained
here. Parameters come from `sr_jax.pretrained.vgg`.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers import imagenet
from sr_jax.layers.convolution import Convolution
from sr_jax.models.protocols import image_batch

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # in each of the five blocks
POOLINGS = ('max', 'l2')


class Layer(NamedTuple):
    """One layer: its name, conv<block>_<number>, relu<block>_<number> or pool<block>."""

    name: str
    features: int


def plan(depth: int) -> Iterator[Layer]:
    """Yields the feature layers of VGG16 or VGG19 in their order.

    Raises:
      InputError: there is no network of that depth.
    """
    if depth not in CONVOLUTIONS:
        raise InputError(f'VGG has a depth of 16 or 19, not {depth!r}')
    for block, (count, features) in enumerate(zip(CONVOLUTIONS[depth], WIDTHS, strict=True), 1):
        for number in range(1, count + 1):
            yield Layer(f'conv{block}_{number}', features)
            yield Layer(f'relu{block}_{number}', features)
        yield Layer(f'pool{block}', features)


class Model(nn.Module):
    """What VGG finds in images, up to the last layer asked for.

    Attributes:
      outputs: names of the layers wanted: 'conv5_4' before, 'relu5_4' after the activation; and
        'pool1' to 'pool5'. By default the last one, so that no parameter is left out.
      depth: 16 or 19.
      dtype: name of the type computed in and returned; parameters stay float32.
      pooling: 'max' of 2 x 2 pixels, or 'l2', that of `pool_l2`.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()

    outputs: tuple[str, ...] = ('pool5',)
    depth: int = 19
    dtype: str = 'float32'
    pooling: str = 'max'

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(self, images: Float[Array, 'n h w 3']) -> dict[str, Float[Array, 'n h2 w2 c']]:
        """The layers asked for, of RGB images in [0, 1], in the network's order.

        Pooling halves the sides, rounding down: block b needs 2^(b - 1) pixels a side; 'l2' rounds
        up.

        Raises:
          InputError: no such layer, depth or pooling, or no layer asked for.
        """
        if self.pooling not in POOLINGS:
            raise InputError(f'VGG pools by {self.pooling!r}: {nearest(self.pooling, POOLINGS)}')
        wanted = _until_last(list(plan(self.depth)), self.outputs, self.depth)
        x, found = imagenet.normalize(images).astype(self.dtype), {}
        for name, features in wanted:
            if name.startswith('conv'):
                x = Convolution(features, 3, dtype=self.dtype, name=name)(x)
            elif name.startswith('relu'):
                x = nn.relu(x)
            elif self.pooling == 'l2':
                x = pool_l2(x)
            else:
                x = nn.max_pool(x, (2, 2), (2, 2))
            if name in self.outputs:
                found[name] = x
        return found


def pool_l2(x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 c']:
    """The root of the mean square under a Hann window of 3 x 3 pixels, at every second pixel.

    Zeros are around the image. Hénaff and Simoncelli 2015 (arXiv:1511.06394), as DISTS has it.
    """
    squares = jnp.pad(x * x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for axis in (1, 2):
        last = squares.shape[axis] - 2
        before, at, after = (
            jax.lax.slice_in_dim(squares, i, i + last, 2, axis) for i in range(3)
        )
        squares = before / 4 + at / 2 + after / 4
    return jnp.sqrt(squares + 1e-12)


def _until_last(known: list[Layer], outputs: tuple[str, ...], depth: int) -> list[Layer]:
    """Returns the layers up to the last one asked for."""
    names = [layer.name for layer in known]
    if not outputs:
        raise InputError('VGG was asked for no layer; name some as outputs')
    for name in outputs:
        if name not in names:
            raise InputError(f'VGG{depth} has no layer {name!r}; {nearest(name, names)}')
    return known[: max(names.index(name) for name in outputs) + 1]
