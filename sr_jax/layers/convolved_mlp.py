"""The MLP of transformers that convolves its inner channels too.

Zhou et al. 2023, "SRFormer: Permuted Self-Attention for Single Image Super-Resolution"
(arXiv:2303.09735), section 3.2.
"""

from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.depthwise import DepthwiseConvolution
from sr_jax.layers.tokens import gelu, linear


class ConvolvedMLP(nn.Module):
    """An MLP whose inner channels are added to what a convolution makes of each.

    Attributes:
      hidden: channels inside.
      kernel_size: of the convolution.
      dtype: name of the type computed in; parameters stay float32.
    """

    hidden: int
    kernel_size: int = 5
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape."""
        h = gelu(linear(self.hidden, 'fc1', self.dtype)(x))
        h = h + gelu(DepthwiseConvolution(self.kernel_size, self.dtype, name='conv')(h))
        return linear(x.shape[-1], 'fc2', self.dtype)(h)
