"""The feature layers of the InceptionV3 that FID is measured with.

Szegedy et al. 2015 (arXiv:1512.00567), with the weights that TensorFlow published on 2015-12-05 and
the differences from torchvision's network that they need, as in mseitzer/pytorch-fid: an average
pooling does not count the border that it adds, and the last block takes the largest of its nine
pixels instead of their mean. Parameters come from `sr_jax.pretrained.inception`; nothing is trained
here.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.models.protocols import image_batch

FEATURES = 2048
MIN_SIDE = 75  # pixels, for one pixel to be left of the last block
EPSILON = 1e-3


class Layer(NamedTuple):
    """A convolution without bias, its batch norm and its activation."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = 'SAME'


Branch = tuple[Layer, ...]


class Block(NamedTuple):
    """Branches that all see the block's input; what they find is put side by side.

    Attributes:
      name: of the block.
      branches: each a row of layers, of which a last pair with names ending in 'a' and 'b' stands
        side by side.
      pooling: before the last branch: 'average' or 'max' over 3 x 3 pixels, or 'max/2', with a
        stride of 2, where there is no layer after it.
    """

    name: str
    branches: tuple[Branch, ...]
    pooling: str


STEM: tuple[Layer | None, ...] = (  # None: max pooling
    Layer('Conv2d_1a_3x3', 32, (3, 3), 2, 'VALID'),
    Layer('Conv2d_2a_3x3', 32, (3, 3), 1, 'VALID'),
    Layer('Conv2d_2b_3x3', 64, (3, 3)),
    None,
    Layer('Conv2d_3b_1x1', 80),
    Layer('Conv2d_4a_3x3', 192, (3, 3), 1, 'VALID'),
    None,
)


def blocks() -> Iterator[Block]:
    """Yields the blocks after the stem, in their order."""
    for name, pooled in (('5b', 32), ('5c', 64), ('5d', 64)):
        yield _five(f'Mixed_{name}', pooled)
    yield Block(
        'Mixed_6a',
        (
            (_halving_layer('branch3x3', 384),),
            (*_double(64, 96)[:2], _halving_layer('branch3x3dbl_3', 96)),
            (),
        ),
        'max/2',
    )
    for name, inner in (('6b', 128), ('6c', 160), ('6d', 160), ('6e', 192)):
        yield _seven(f'Mixed_{name}', inner)
    thin = _thin('branch7x7x3', 192, 192, 192)
    yield Block(
        'Mixed_7a',
        (
            (Layer('branch3x3_1', 192), _halving_layer('branch3x3_2', 320)),
            (*thin, _halving_layer('branch7x7x3_4', 192)),
            (),
        ),
        'max/2',
    )
    yield _split('Mixed_7b', 'average')
    yield _split('Mixed_7c', 'max')


def _halving_layer(name: str, features: int) -> Layer:
    return Layer(name, features, (3, 3), 2, 'VALID')


def _double(inner: int, features: int) -> Branch:
    return (
        Layer('branch3x3dbl_1', inner),
        Layer('branch3x3dbl_2', features, (3, 3)),
        Layer('branch3x3dbl_3', features, (3, 3)),
    )


def _thin(name: str, first: int, inner: int, features: int) -> Branch:
    return (
        Layer(f'{name}_1', first),
        Layer(f'{name}_2', inner, (1, 7)),
        Layer(f'{name}_3', features, (7, 1)),
    )


def _five(name: str, pooled: int) -> Block:
    fives = (Layer('branch5x5_1', 48), Layer('branch5x5_2', 64, (5, 5)))
    branches = ((Layer('branch1x1', 64),), fives, _double(64, 96), (Layer('branch_pool', pooled),))
    return Block(name, branches, 'average')


def _seven(name: str, inner: int) -> Block:
    double = 'branch7x7dbl'
    return Block(
        name,
        (
            (Layer('branch1x1', 192),),
            _thin('branch7x7', inner, inner, 192),
            (
                Layer(f'{double}_1', inner),
                Layer(f'{double}_2', inner, (7, 1)),
                Layer(f'{double}_3', inner, (1, 7)),
                Layer(f'{double}_4', inner, (7, 1)),
                Layer(f'{double}_5', 192, (1, 7)),
            ),
            (Layer('branch_pool', 192),),
        ),
        'average',
    )


def _split(name: str, pooling: str) -> Block:
    def pair(name: str) -> Branch:
        return Layer(f'{name}a', 384, (1, 3)), Layer(f'{name}b', 384, (3, 1))

    double = (Layer('branch3x3dbl_1', 448), Layer('branch3x3dbl_2', 384, (3, 3)))
    return Block(
        name,
        (
            (Layer('branch1x1', 320),),
            (Layer('branch3x3_1', 384), *pair('branch3x3_2')),
            (*double, *pair('branch3x3dbl_3')),
            (Layer('branch_pool', 192),),
        ),
        pooling,
    )


class _Convolved(nn.Module):
    """One `Layer`."""

    layer: Layer

    @nn.compact
    def __call__(self, x: Array) -> Array:
        _, features, kernel, stride, padding = self.layer
        x = nn.Conv(features, kernel, stride, padding, use_bias=False, name='conv')(x)
        return nn.relu(BatchNorm(epsilon=EPSILON, name='bn')(x))


class _Mixed(nn.Module):
    """One `Block`."""

    block: Block

    @nn.compact
    def __call__(self, x: Array) -> Array:
        *branches, last = self.block.branches
        found = [_branch(layers, x) for layers in branches]
        return jnp.concatenate([*found, _branch(last, self._pool(x))], axis=-1)

    def _pool(self, x: Array) -> Array:
        if self.block.pooling == 'average':
            pooled = nn.avg_pool(x, (3, 3), padding='SAME', count_include_pad=False)
            return pooled.astype(x.dtype)  # Flax counts in float64 where JAX has it enabled
        if self.block.pooling == 'max':
            return nn.max_pool(x, (3, 3), padding='SAME')
        return nn.max_pool(x, (3, 3), (2, 2))


def _branch(layers: Branch, x: Array) -> Array:
    """The layers one after the other; a pair at the end side by side. Within a compact call."""
    paired = len(layers) > 1 and layers[-1].name.endswith('b')
    for layer in layers[:-2] if paired else layers:
        x = _Convolved(layer, name=layer.name)(x)
    if not paired:
        return x
    pair = [_Convolved(layer, name=layer.name)(x) for layer in layers[-2:]]
    return jnp.concatenate(pair, axis=-1)


class Model(nn.Module):
    """What the network finds in whole images: its last features, averaged over the places."""

    REPEATED: ClassVar[tuple[str, ...]] = ()

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 80, 96)

    @nn.compact
    def __call__(self, images: Float[Array, 'n h w 3']) -> Float[Array, 'n 2048']:
        """The features of RGB images in [0, 1], of at least 75 pixels a side; FID takes 299."""
        x = 2 * images.astype(jnp.float32) - 1
        for layer in STEM:
            if layer is None:
                x = nn.max_pool(x, (3, 3), (2, 2))
            else:
                x = _Convolved(layer, name=layer.name)(x)
        for block in blocks():
            x = _Mixed(block, name=block.name)(x)
        return x.mean(axis=(1, 2))
