"""SRVGGNetCompact: plain convolutions at the input's size, and one sub-pixel convolution.

The small networks of Real-ESRGAN, Wang et al. 2021 (arXiv:2107.10833), such as
realesr-general-x4v3 (xinntao/Real-ESRGAN, `srvgg_arch.py`; not described in the paper).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, upsample_nearest
from sr_jax.layers.parameter import parameter
from sr_jax.layers.resampling import pixel_shuffle
from sr_jax.models.protocols import image_batch

START_SLOPE = 0.25
SLOPES = {'relu': 0.0, 'leaky_relu': 0.1}  # below 0, of activations that learn none
ACTIVATIONS = ('prelu', *SLOPES)


class ActivatedConvolution(nn.Module):
    """A 3 x 3 convolution and an activation.

    A PReLU (He et al. 2015, arXiv:1502.01852) has one `slope` a channel, which starts at 0.25, as
    in the paper and in PyTorch.

    Attributes:
      features: channels of the output.
      dtype: name of the type computed in; parameters stay float32.
      activation: one of `ACTIVATIONS`.
    """

    features: int
    dtype: str = 'float32'
    activation: str = 'prelu'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w features']:
        """Activated features."""
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv')(x)
        if self.activation != 'prelu':
            return nn.leaky_relu(x, SLOPES[self.activation])
        start = nn.initializers.constant(START_SLOPE)
        slope = jnp.asarray(parameter(self, 'slope', start, (self.features,)), x.dtype)
        return jnp.where(x >= 0, x, slope[None, None, None, :] * x)


class SRVGGNetCompact(nn.Module):
    """Real-ESRGAN's compact network; the defaults are realesr-general-x4v3's.

    The last convolution's output, laid out as pixels, is added to the image with its pixels
    repeated. Start values are PyTorch's defaults, as in the original.

    Attributes:
      scale: output pixels per input pixel along a side, 1 or more.
      features: channels inside.
      num_convs: convolutions between the first and the last one.
      activation: after all but the last: 'prelu', 'relu' or 'leaky_relu', of slope 0.1.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute each convolution and activation in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_convs',)
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_convs: int = 32
    activation: str = 'prelu'
    dtype: str = 'float32'
    remat: bool = False

    @property
    def halo(self) -> int:
        """Pixels around one on which its enlargement depends."""
        return self.num_convs + 2

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        Of more channels than three the first three are the image; the convolutions see all.

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: a scale below 1, or there is no such activation.
        """
        if self.scale < 1:
            raise InputError(f'SRVGGNetCompact enlarges by 1 or more, not by {self.scale!r}')
        if self.activation not in ACTIVATIONS:
            known = ', '.join(ACTIVATIONS)
            raise InputError(f'SRVGGNetCompact has no activation {self.activation!r}, but {known}')
        block = nn.remat(ActivatedConvolution) if self.remat else ActivatedConvolution
        h = x
        for i in range(self.num_convs + 1):
            h = block(self.features, self.dtype, self.activation, name=f'block_{i}')(h)
        h = Convolution(3 * self.scale**2, 3, dtype=self.dtype, name='conv_last')(h)
        residual = pixel_shuffle(h.astype(jnp.float32), self.scale)
        return upsample_nearest(x[..., :3].astype(jnp.float32), self.scale) + residual


Model = SRVGGNetCompact
