"""FCOS: boxes around the things in an image (Tian et al. 2019, arXiv:1904.01355), as torchvision
has it.

A ResNet's features are put together to a pyramid of five sizes (Lin et al. 2016, arXiv:1612.03144).
At each pixel of each size, the same two heads tell the classes of what is there, how far its four
sides are, and how near the pixel is to its center.
"""

import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, normal_init, upsample_nearest
from sr_jax.layers.resnet import Backbone
from sr_jax.layers.switching import Switching
from sr_jax.models.protocols import Limits, image_batch

STRIDES = {'large': (8, 16, 32, 64, 128), 'small': (2, 4, 8, 16, 32)}  # by the stem
PRIOR = 0.01  # probability of a class at the start (Lin et al. 2017, arXiv:1708.02002)
EPSILON = 1e-5  # of group norms
DEVIATION = 0.01  # of the heads' kernels at the start


class Findings(NamedTuple):
    """What the heads tell of every pixel of all sizes, one after the other.

    Attributes:
      logits: of each class, each for itself.
      sides: how far the top, left, bottom and right side are, in strides; 0 or more.
      centeredness: a logit.
    """

    logits: Float[Array, 'n l k']
    sides: Float[Array, 'n l 4']
    centeredness: Float[Array, 'n l']


class Places(NamedTuple):
    """Where the pixels of all sizes are in the image.

    Attributes:
      centers: row and column in pixels of the image.
      strides: of their sizes.
    """

    centers: Float[np.ndarray, 'l 2']
    strides: Float[np.ndarray, ' l']


def places(height: int, width: int, stem: str) -> Places:
    """Returns the places for images of a size.

    As torchvision's, they begin at the corner. For sides that are no multiples of the largest
    stride, its strides are those of the image divided by its features, rounded down; ours are not.
    """
    centers, strides = [], []
    for stride in STRIDES[stem]:
        rows, columns = (-(-side // stride) for side in (height, width))
        grid = np.indices((rows, columns)).reshape(2, -1).T * stride
        centers.append(grid.astype(np.float32))
        strides.append(np.full(len(grid), stride, np.float32))
    return Places(np.concatenate(centers), np.concatenate(strides))


class Pyramid(nn.Module):
    """Features of five sizes, each half as large as the one before, of the same channels.

    Attributes:
      features: channels.
      dtype: name of the type that is computed in.
    """

    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, stages: tuple[Float[Array, 'n _ _ _'], ...]
    ) -> list[Float[Array, 'n _ _ _']]:
        """The pyramid over the last three stages of a ResNet."""

        def conv(name: str, x: Array, taps: int, stride: int = 1) -> Array:
            return Convolution(self.features, taps, stride, self.dtype, name=name)(x)

        found: list[Array] = []
        above = None
        for i in reversed(range(len(stages))):
            x = conv(f'inner_{i}', stages[i], 1)
            if above is not None:
                x = x + upsample_nearest(above)[:, : x.shape[1], : x.shape[2]]
            above = x
            found.insert(0, conv(f'layer_{i}', x, 3))
        for i in range(2):
            x = nn.relu(found[-1]) if i else found[-1]
            found.append(conv(f'extra_{i}', x, 3, 2))
        return found


class Head(nn.Module):
    """Some convolutions with group norm, and one for each thing that is told.

    Attributes:
      channels: of each thing that is told, by name.
      bias: at the start of the last convolutions.
      num_convs: convolutions before.
      groups: of the norms.
      dtype: name of the type that is computed in.
    """

    channels: tuple[tuple[str, int], ...]
    bias: float = 0.0
    num_convs: int = 4
    groups: int = 32
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, sizes: list[Float[Array, 'n _ _ c']]) -> dict[str, Float[Array, 'n l _']]:
        """By name, what is told of the pixels of all sizes, float32."""
        features = sizes[0].shape[-1]
        start = normal_init(DEVIATION)

        def conv(name: str, channels: int, bias: float = 0.0) -> Convolution:
            fields: dict[str, Any] = dict(dtype=self.dtype, kernel_init=start, bias=bias)
            return Convolution(channels, 3, **fields, name=name)

        convs = [conv(f'conv_{i}', features) for i in range(self.num_convs)]
        norms = [
            nn.GroupNorm(self.groups, epsilon=EPSILON, use_fast_variance=False, name=f'norm_{i}')
            for i in range(self.num_convs)
        ]
        last = {name: conv(name, channels, self.bias) for name, channels in self.channels}
        found: dict[str, list[Array]] = {name: [] for name in last}
        for x in sizes:
            for layer, norm in zip(convs, norms, strict=True):
                x = nn.relu(norm(layer(x).astype(jnp.float32)))
            for name, layer in last.items():
                y = layer(x).astype(jnp.float32)
                found[name].append(y.reshape(len(y), -1, y.shape[-1]))
        return {name: jnp.concatenate(parts, axis=1) for name, parts in found.items()}


class FCOS(nn.Module):
    """A ResNet, the pyramid and the heads; the defaults are torchvision's fcos_resnet50_fpn, whose
    classes are 91.

    Attributes:
      depth: layers of the ResNet: 10, 14, 18, 34, 50, 101 or 152.
      classes: of boxes; 0 while a config does not know it yet.
      features: channels of the ResNet's first stage.
      stem: of the ResNet; with 'small' the pyramid begins at half the size of the image.
      head_features: channels of the pyramid and the heads.
      num_convs: convolutions of a head before its last ones.
      groups: of the heads' group norms.
      switching: which convolutions of the ResNet are switched, and how.
      dtype: name of the type that convolutions compute in; parameters and findings are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_convs',)
    LIMITS: ClassVar[Limits] = {'classes': (0, math.inf)}

    depth: int = 50
    classes: int = 91
    features: int = 64
    stem: str = 'large'
    head_features: int = 256
    num_convs: int = 4
    groups: int = 32
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(self, images: Float[Array, 'n h w 3'], train: bool = False) -> Findings:
        """What is told of the places of images in [0, 1], in the order of `places`.

        Raises:
          InputError: a depth or a stem that is not known, or groups that do not divide the
            features.
        """
        if self.head_features % self.groups:
            raise InputError(
                f'head_features={self.head_features} do not split into {self.groups} equal groups: '
                'change groups'
            )
        fields: dict[str, Any] = dict(dtype=self.dtype, remat=self.remat, switching=self.switching)
        sizes = (self.depth, self.features, self.stem)
        stages = Backbone(*sizes, **fields, name='backbone')(images, train)
        pyramid = Pyramid(self.head_features, self.dtype, name='pyramid')(stages[-3:])
        kept = (self.num_convs, self.groups, self.dtype)
        bias = -math.log((1 - PRIOR) / PRIOR)
        head = Head((('logits', self.classes),), bias, *kept, name='classes')
        logits = head(pyramid)['logits']
        told = Head((('sides', 4), ('centeredness', 1)), 0.0, *kept, name='boxes')(pyramid)
        return Findings(logits, nn.relu(told['sides']), told['centeredness'][..., 0])


Model = FCOS
