"""Self-attention over the pixels of an image."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import uniform_init

HIDDEN_FACTOR = 4


class TransformerBlock(nn.Module):
    """A pre-norm transformer block whose tokens are the pixels.

    x + attention(norm(x)), then x + mlp(norm(x)), with a GELU between 4 times the channels
    (Vaswani et al. 2017, arXiv:1706.03762; norms first as in Dosovitskiy et al. 2020,
    arXiv:2010.11929). There is no positional code: features of convolutions carry their place.

    Attributes:
      heads: of the attention; divides the channels.
    """

    heads: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Returns features of the same shape.

        Raises InputError where the heads do not divide the channels.
        """
        n, h, w, channels = x.shape
        if channels % self.heads:
            raise InputError(f'{channels} channels do not split into {self.heads} attention heads')

        def dense(features: int, name: str, fan_in: int = channels) -> nn.Dense:
            start = uniform_init(fan_in)
            return nn.Dense(features, kernel_init=start, bias_init=start, name=name)

        tokens = x.reshape(n, h * w, channels)
        y = nn.LayerNorm(use_fast_variance=False, name='norm_attention')(tokens)
        qkv = dense(3 * channels, 'qkv')(y).reshape(n, h * w, 3, self.heads, -1)
        attended = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        tokens = tokens + dense(channels, 'out')(attended.reshape(tokens.shape))
        y = nn.LayerNorm(use_fast_variance=False, name='norm_mlp')(tokens)
        y = nn.gelu(dense(HIDDEN_FACTOR * channels, 'mlp_0')(y))
        tokens = tokens + dense(channels, 'mlp_1', HIDDEN_FACTOR * channels)(y)
        return jnp.reshape(tokens, x.shape)
