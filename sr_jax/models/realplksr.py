"""RealPLKSR: convolutions of few channels with large kernels, between ones that mix the channels.

Lee et al. 2024, "Partial Large Kernel CNNs for Efficient Super-Resolution" (arXiv:2404.11848),
section 3 and figure 3, in the form for real images of neosr (muslll/neosr, `realplksr_arch.py`):
Mish in place of GELU, and a norm of groups or of layers in each block.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.dysample import DySample
from sr_jax.layers.resampling import pixel_shuffle
from sr_jax.layers.tokens import layer_norm
from sr_jax.models.protocols import image_batch

NORM_GROUPS = 4
NORMS = ('group', 'layer')
LAYER_EPSILON = 1e-6


class PLKBlock(nn.Module):
    """Local mixing of channels, a large kernel on some of them, attention; added to x.

    Attributes:
      kernel_size: of the large kernel.
      partial: channels that it convolves, the first ones.
      attention: multiply each feature by what a convolution makes of the features there.
      norm: 'group', at the end, or 'layer', at the beginning.
      dtype: name of the type computed in; parameters stay float32.
    """

    kernel_size: int
    partial: int
    attention: bool
    norm: str
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape."""
        channels = x.shape[-1]

        def conv(name: str, features: int, taps: int, y: Array) -> Array:
            return Convolution(features, taps, dtype=self.dtype, name=name)(y)

        h = layer_norm('layer_norm', self.dtype, LAYER_EPSILON)(x) if self.norm == 'layer' else x
        h = conv('mixer_1', channels, 3, jax.nn.mish(conv('mixer_0', 2 * channels, 3, h)))
        large = conv('large', self.partial, self.kernel_size, h[..., : self.partial])
        h = jnp.concatenate([large, h[..., self.partial :]], axis=-1)
        if self.attention:
            h = h * nn.sigmoid(conv('attention', channels, 3, h))
        h = conv('refine', channels, 1, h)
        if self.norm == 'group':
            dtype = jnp.dtype(self.dtype)
            h = nn.GroupNorm(
                NORM_GROUPS, epsilon=1e-5, dtype=dtype, use_fast_variance=False, name='group_norm'
            )(h)
        return x + h


class RealPLKSR(nn.Module):
    """The defaults are those of neosr's network for scale 4.

    Start values are PyTorch's defaults. There is no dropout.

    Attributes:
      scale: output pixels per input pixel along a side, 1 or more.
      features: channels inside.
      num_blocks: blocks of a large kernel.
      kernel_size: of the large kernels.
      partial: channels that they convolve.
      attention: blocks multiply features by an attention of each.
      norm: 'group', of four groups over the whole image, or 'layer', of each pixel's channels.
      dysample: enlarge by DySample instead of sub-pixels alone.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute each block in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks',)
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_blocks: int = 28
    kernel_size: int = 17
    partial: int = 16
    attention: bool = True
    norm: str = 'group'
    dysample: bool = False
    dtype: str = 'float32'
    remat: bool = False

    @property
    def halo(self) -> int | None:
        """Pixels around one on which its enlargement depends; None: on the whole image."""
        if self.norm == 'group' or self.dysample:  # whose offsets have no bound
            return None
        block = 1 + 1 + self.kernel_size // 2 + self.attention
        return 1 + self.num_blocks * block + 1

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
          InputError: a scale below 1, or no such norm.
        """
        if self.scale < 1:
            raise InputError(f'RealPLKSR enlarges by 1 or more, not by {self.scale!r}')
        if self.norm not in NORMS:
            raise InputError(f'RealPLKSR has no norm {self.norm!r}: there are {", ".join(NORMS)}')
        block = nn.remat(PLKBlock) if self.remat else PLKBlock
        fields = (self.kernel_size, self.partial, self.attention, self.norm, self.dtype)
        h = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x)
        for i in range(self.num_blocks):
            h = block(*fields, name=f'block_{i}')(h)
        squared = self.scale**2
        h = Convolution(3 * squared, 3, dtype=self.dtype, name='conv_last')(h)
        h = h.astype(jnp.float32) + jnp.repeat(x, squared, axis=-1)
        if not self.dysample:
            return pixel_shuffle(h, self.scale)
        groups, made = 3 if self.scale % 2 else 4, 0 if self.scale == 1 else 3
        sample = DySample(self.scale, groups, made, self.dtype, name='dysample')
        return sample(h).astype(jnp.float32)


Model = RealPLKSR
