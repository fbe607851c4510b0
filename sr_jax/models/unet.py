"""A U-Net on a ResNet: a class for each pixel.

Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597): features of a small size are enlarged, and those
of the next larger size put beside them, until the first one. The encoder is a ResNet's here, and
all is as large as the image at its end.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import Convolution, upsample_nearest
from sr_jax.layers.larger import enlarge_features
from sr_jax.layers.resnet import Backbone
from sr_jax.layers.switching import Switching
from sr_jax.models.protocols import Limits, image_batch


class UNet(nn.Module):
    """The residual stages, and back to the size of the image.

    Attributes:
      depth: layers of the ResNet: 10, 14, 18, 34, 50, 101 or 152.
      classes: of a pixel; 0 while a config does not know it yet.
      features: channels of the first stage; of the decoder, at each size as many times as there.
      stem: of the ResNet, 'small' or 'large'.
      switching: which convolutions are switched, such as 'decoder_0/conv_1', the last one.
      dtype: name of the type that convolutions compute in; parameters and logits are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      guide: None, or a network of latents, such as `PixPro`, that is a part of this one.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()
    LIMITS: ClassVar[Limits] = {'classes': (0, math.inf)}

    depth: int = 18
    classes: int = 21
    features: int = 64
    stem: str = 'small'
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False
    guide: nn.Module | None = None

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self,
        images: Float[Array, 'n h w 3'],
        train: bool = False,
        latents: Float[Array, 'n h2 w2 d'] | None = None,
    ) -> Float[Array, 'n h w classes']:
        """Logits of each pixel's classes, of images in [0, 1].

        Where there are latents of the images, given or by the guide, the selectors of the decoder's
        switched convolutions look at these instead of their own features.

        Raises:
          InputError: a depth or a stem that is not known.
        """
        if self.guide is not None:
            latents = self.guide(images, train)
        fields: dict[str, Any] = dict(switching=self.switching, dtype=self.dtype)
        backbone = Backbone(
            *(self.depth, self.features, self.stem), **fields, remat=self.remat, name='backbone'
        )
        *skips, x = backbone(images, train)
        x = enlarge_features(self.features, self.remat, fields, skips, x, train, latents)
        x = Convolution(self.classes, 1, dtype=self.dtype, name='last')(x).astype(jnp.float32)
        height, width = images.shape[1:3]
        return x if self.stem == 'small' else upsample_nearest(x)[:, :height, :width]


Model = UNet
