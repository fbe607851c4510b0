"""DeepLabV3: a class for each pixel (Chen et al. 2017, arXiv:1706.05587), as torchvision has it.

The last stages of a ResNet are dilated instead of made smaller; convolutions of several dilations
and the mean over the image look at them side by side.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import Convolution
from sr_jax.layers.normed_convolution import normed_convolution
from sr_jax.layers.resampling import upsample_bilinear
from sr_jax.layers.resnet import Backbone
from sr_jax.layers.switching import Switching
from sr_jax.models.protocols import Limits, image_batch

SMALLER = {'large': 8, 'small': 2}  # the features than the image, by the stem


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: several dilations and the mean, projected."""

    features: int
    dilations: tuple[int, ...]
    switching: Switching = Switching()
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h w features']:
        """Features of the same size."""

        def conv(suffix: str, x: Array, taps: int, dilation: int = 1) -> Array:
            sizes = (self.features, taps, 1, dilation, self.dtype, train)
            return nn.relu(normed_convolution(self, self.switching, suffix, x, *sizes))

        found = [conv('_0', x, 1)]
        found += [conv(f'_{i}', x, 3, rate) for i, rate in enumerate(self.dilations, 1)]
        mean = conv('_mean', x.mean(axis=(1, 2), keepdims=True), 1)
        found.append(jnp.broadcast_to(mean, found[0].shape))
        return conv('_last', jnp.concatenate(found, axis=-1), 1)


class DeepLab(nn.Module):
    """A dilated ResNet, the pyramid, a convolution, and bilinear enlargement.

    Attributes:
      depth: layers of the ResNet: 10, 14, 18, 34, 50, 101 or 152.
      classes: of a pixel; 0 while a config does not know it yet.
      features: channels of the ResNet's first stage.
      stem: of the ResNet: with 'large' the features are an eighth as large as the image, with
        'small' half as large.
      head_features: channels of the pyramid.
      dilations: of the pyramid.
      dropout_rate: of the pyramid's features; random stream 'dropout'.
      switching: which convolutions are switched, and how.
      dtype: name of the type that convolutions compute in; parameters and logits are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()
    LIMITS: ClassVar[Limits] = {'classes': (0, math.inf), 'dropout_rate': (0, 1)}

    depth: int = 50
    classes: int = 21
    features: int = 64
    stem: str = 'large'
    head_features: int = 256
    dilations: tuple[int, ...] = (12, 24, 36)
    dropout_rate: float = 0.5
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self, images: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h w classes']:
        """Logits of each pixel's classes, of images in [0, 1].

        Raises:
          InputError: a depth or a stem that is not known.
        """
        fields: dict[str, Any] = dict(switching=self.switching, dtype=self.dtype)
        backbone = Backbone(
            *(self.depth, self.features, self.stem),
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            **fields,
            remat=self.remat,
            name='backbone',
        )
        x = backbone(images, train)[-1]
        x = Pyramid(self.head_features, self.dilations, **fields, name='pyramid')(x, train)
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        sizes = (self.head_features, 3, 1, 1, self.dtype, train)
        x = nn.relu(normed_convolution(self, self.switching, '_last', x, *sizes))
        x = Convolution(self.classes, 1, dtype=self.dtype, name='last')(x).astype(jnp.float32)
        height, width = images.shape[1:3]
        return upsample_bilinear(x, SMALLER[self.stem])[:, :height, :width]


Model = DeepLab
