"""ResNet, a classifier of images (He et al. 2015, arXiv:1512.03385), as torchvision has it."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import uniform_init
from sr_jax.layers.resnet import Backbone
from sr_jax.layers.switching import Switching
from sr_jax.models.protocols import Limits, image_batch


class ResNet(nn.Module):
    """The residual stages, the mean over all pixels, and a linear layer; by default ResNet-50.

    Attributes:
      depth: layers: 10, 14, 18, 34, 50, 101 or 152.
      classes: how many; 0 while a config does not know it yet.
      features: channels of the first stage.
      stem: 'large' or 'small', for images of some tens of pixels: see `Backbone`.
      switching: which convolutions are switched, and how.
      dtype: name of the type that convolutions compute in; parameters and logits are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()
    LIMITS: ClassVar[Limits] = {'classes': (0, math.inf)}

    depth: int = 50
    classes: int = 1000
    features: int = 64
    stem: str = 'large'
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n classes']:
        """Logits of the classes, of images in [0, 1].

        Raises:
          InputError: a depth or a stem that is not known.
        """
        backbone = Backbone(
            *(self.depth, self.features, self.stem),
            switching=self.switching,
            dtype=self.dtype,
            remat=self.remat,
            name='backbone',
        )
        features = backbone(x, train)[-1].astype(jnp.float32).mean(axis=(1, 2))
        start = uniform_init(features.shape[-1])
        return nn.Dense(self.classes, kernel_init=start, bias_init=start, name='last')(features)


Model = ResNet
