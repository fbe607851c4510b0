"""The last part of RRDBNet: from features at the input's size to a larger image."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import Convolution, upsample_nearest

NEGATIVE_SLOPE = 0.2


class UpsamplingHead(nn.Module):
    """Doublings, each by repeated pixels and a convolution, and two convolutions to the image.

    ESRGAN, Wang et al. 2018 (arXiv:1809.00219), as BasicSR's RRDBNet has it, with two doublings:
    leaky ReLUs of slope 0.2 after every 3 x 3 convolution but the last.

    Attributes:
      num_ups: doublings of the size.
      dtype: name of the type computed in; parameters stay float32.
      out_channels: of the image.
    """

    num_ups: int
    dtype: str = 'float32'
    out_channels: int = 3

    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 c2']:
        """Returns the image of features, float32, with 2^num_ups times their height and width."""
        return self.stages(x)[0]

    @nn.compact
    def stages(
        self, x: Float[Array, 'n h w c']
    ) -> tuple[Float[Array, 'n h2 w2 c2'], list[Float[Array, 'n _h _w c']]]:
        """Returns the image, and the features after each doubling."""
        channels, doubled = x.shape[-1], []
        for i in range(self.num_ups):
            x = self._convolve(f'conv_up_{i}', channels, upsample_nearest(x))
            doubled.append(x)
        x = self._convolve('conv_hr', channels, x)
        image = Convolution(self.out_channels, 3, dtype=self.dtype, name='conv_last')(x)
        return image.astype(jnp.float32), doubled

    def _convolve(self, name: str, features: int, x: Array) -> Array:
        x = Convolution(features, 3, dtype=self.dtype, name=name)(x)
        return nn.leaky_relu(x, NEGATIVE_SLOPE)
