"""SRResNet: residual blocks at the input's size, then sub-pixel convolutions.

Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network" (arXiv:1609.04802), section 2.1, in the modified form that BasicSR calls MSRResNet: no
batch normalization, no skip over all the blocks, and the image is added, bilinearly enlarged.
"""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, kaiming_init
from sr_jax.layers.resampling import pixel_shuffle, upsample_bilinear
from sr_jax.models.protocols import image_batch

UP_FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}
NEGATIVE_SLOPE = 0.1
KAIMING = kaiming_init(0.1)
OTHER_RADIUS = 3  # of the other convolutions, those at larger sizes counting less


class ResBlock(nn.Module):
    """Adds conv(relu(conv(x))) to x."""

    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape as x."""
        conv = functools.partial(
            Convolution, x.shape[-1], 3, dtype=self.dtype, kernel_init=KAIMING
        )
        return x + conv(name='conv_1')(nn.relu(conv(name='conv_0')(x)))


class SRResNet(nn.Module):
    """BasicSR's MSRResNet; the defaults are the published network.

    Every kernel starts from Kaiming's normal distribution times 0.1, every bias from zero
    (BasicSR, `default_init_weights`).

    Attributes:
      scale: output pixels per input pixel along a side: 2, 3 or 4.
      features: channels inside.
      num_blocks: residual blocks of two convolutions.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks',)
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_blocks: int = 16
    dtype: str = 'float32'
    remat: bool = False

    @property
    def halo(self) -> int:
        """Pixels around one on which its enlargement depends."""
        return 2 * self.num_blocks + OTHER_RADIUS

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: another scale than 2, 3 and 4.
        """
        if self.scale not in UP_FACTORS:
            raise InputError(f'SRResNet enlarges by 2, 3 or 4, not by {self.scale!r}: change scale')
        conv = functools.partial(Convolution, kernel_size=3, dtype=self.dtype, kernel_init=KAIMING)
        activation = functools.partial(nn.leaky_relu, negative_slope=NEGATIVE_SLOPE)
        block = nn.remat(ResBlock) if self.remat else ResBlock
        h = activation(conv(self.features, name='conv_first')(x))
        for i in range(self.num_blocks):
            h = block(self.dtype, name=f'block_{i}')(h)
        for i, factor in enumerate(UP_FACTORS[self.scale]):
            h = conv(self.features * factor**2, name=f'conv_up_{i}')(h)
            h = activation(pixel_shuffle(h, factor))
        h = activation(conv(self.features, name='conv_hr')(h))
        residual = conv(3, name='conv_last')(h).astype(jnp.float32)
        return upsample_bilinear(x.astype(jnp.float32), self.scale) + residual


Model = SRResNet
