"""The block of Swin transformers, without what makes images of fewer pixels of them.

Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows"
(arXiv:2103.14030), section 3.1 and figure 3, as SwinIR has it (arXiv:2108.10257, equation 8).
"""

from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.tokens import MLP, layer_norm
from sr_jax.layers.window_attention import WindowAttention


class SwinBlock(nn.Module):
    """Attention within windows, then an MLP, each on normed features and added to them.

    Attributes:
      heads: of the attention.
      window: side of the windows.
      shift: pixels that they are shifted by.
      hidden: channels inside of the MLP.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    window: int
    shift: int
    hidden: int
    use_bias: bool = True
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape."""
        sides = (self.window,) * 2, (self.shift,) * 2
        fields = (self.heads, *sides, self.use_bias, self.dtype)
        attention = WindowAttention(*fields, name='attention')
        x = x + attention(layer_norm('norm_1', self.dtype)(x))
        return x + MLP(self.hidden, self.dtype, name='mlp')(layer_norm('norm_2', self.dtype)(x))
