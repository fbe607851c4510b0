"""PixPro: latents of pixels that agree over views of an image (Xie et al. 2020, arXiv:2011.10043).

As the authors' code (zdaxie/PixPro) has it: a ResNet, a projection of each of its last pixels, and
a propagation over all of them, whose values are normalized after their convolution and whose
weights are not normalized over the pixels.
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.resnet import Backbone
from sr_jax.layers.switching import Switching
from sr_jax.models.protocols import Limits, image_batch


def normalize(x: Float[Array, '*n c']) -> Float[Array, '*n c']:
    """Returns vectors of length 1."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


class Projector(nn.Module):
    """Two 1 x 1 convolutions, with a batch norm and a ReLU between them."""

    hidden: int
    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h w features']:
        """The projection of each pixel, float32."""
        x = Convolution(self.hidden, 1, dtype=self.dtype, name='conv_0')(x)
        x = nn.relu(BatchNorm(name='norm')(x, train))
        return Convolution(self.features, 1, dtype=self.dtype, name='conv_1')(x).astype(jnp.float32)


class PixPro(nn.Module):
    """The part that is trained by gradients; by default the authors'.

    Attributes:
      depth: layers of the ResNet: 10, 14, 18, 34, 50, 101 or 152.
      features: channels of the ResNet's first stage.
      stem: of the ResNet, 'large' or 'small'.
      hidden: channels within the projection.
      latents: channels of a pixel's latents.
      power: of the similarities in the propagation.
      switching: which convolutions of the ResNet are switched, and how.
      dtype: name of the type that convolutions compute in; parameters and latents are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()
    LIMITS: ClassVar[Limits] = {'power': (0, math.inf)}

    depth: int = 50
    features: int = 64
    stem: str = 'large'
    hidden: int = 4096
    latents: int = 256
    power: float = 2.0
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    def setup(self) -> None:
        """Makes the parts."""
        self.backbone = Backbone(
            *(self.depth, self.features, self.stem),
            switching=self.switching,
            dtype=self.dtype,
            remat=self.remat,
        )
        self.projector = Projector(self.hidden, self.latents, self.dtype)
        self.value = Convolution(self.latents, 1, dtype=self.dtype)

    def __call__(
        self, images: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 latents']:
        """Latents of the pixels of images in [0, 1], propagated, of length 1."""
        return self.propagate(self.project(images, train))

    def project(
        self, images: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 latents']:
        """The projections of the pixels of images in [0, 1]: what keys are made of."""
        return self.projector(self.backbone(images, train)[-1], train)

    def propagate(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Returns for each pixel the sum of all values, each times the similarity to that pixel,
        cut at 0, to a power; of length 1."""
        n, height, width, channels = x.shape
        values = normalize(self.value(x).astype(jnp.float32)).reshape(n, -1, channels)
        x = normalize(x).reshape(n, -1, channels)
        similarity = jnp.maximum(jnp.einsum('nic,njc->nij', x, x), 0) ** self.power
        y = jnp.einsum('nij,njc->nic', similarity, values)
        return normalize(y).reshape(n, height, width, channels)


Model = PixPro
