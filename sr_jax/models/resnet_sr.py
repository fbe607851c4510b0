"""Super-resolution by a U-Net on a ResNet, so that its encoder can start a classifier.

It is ours, to see whether super-resolution is a pre-training: its `backbone` is that of `resnet`,
`unet`, `deeplab` and `fcos` (`config.train.start_from={'backbone': 'runs/resnet_sr'}`).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import Convolution
from sr_jax.layers.larger import enlarge_features
from sr_jax.layers.resampling import pixel_shuffle, upsample_bilinear
from sr_jax.layers.resnet import Backbone
from sr_jax.layers.switching import Switching
from sr_jax.models.protocols import image_batch


class ResNetSR(nn.Module):
    """A ResNet with a small stem, back to the size of the image, and sub-pixels; the image is
    added, bilinearly enlarged.

    Attributes:
      scale: output pixels per input pixel along a side.
      depth: layers of the ResNet: 10, 14, 18, 34, 50, 101 or 152.
      features: channels of the first stage.
      switching: which convolutions are switched, and how.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None

    scale: int = 2
    depth: int = 18
    features: int = 64
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self, images: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        Raises:
          InputError: a depth that is not known.
        """
        fields: dict[str, Any] = dict(switching=self.switching, dtype=self.dtype)
        sizes = (self.depth, self.features, 'small')
        backbone = Backbone(*sizes, **fields, remat=self.remat, name='backbone')
        *skips, x = backbone(images, train)
        x = enlarge_features(self.features, self.remat, fields, skips, x, train)
        x = Convolution(3 * self.scale**2, 3, dtype=self.dtype, name='last')(x)
        x = pixel_shuffle(x, self.scale).astype(jnp.float32)
        return x + upsample_bilinear(images.astype(jnp.float32), self.scale)


Model = ResNetSR
