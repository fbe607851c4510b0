"""The parts of a transformer that look at each pixel alone, with PyTorch's conventions."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

DEVIATION = 0.02  # of kernels at the start: Dosovitskiy et al. 2020, arXiv:2010.11929
EPSILON = 1e-5  # PyTorch's, of layer norms


def linear(features: int, name: str, dtype: str = 'float32', use_bias: bool = True) -> nn.Dense:
    """A layer of each pixel: kernels start from a truncated normal of deviation 0.02."""
    return nn.Dense(
        features,
        use_bias,
        dtype=jnp.dtype(dtype),
        kernel_init=nn.initializers.truncated_normal(DEVIATION),
        name=name,
    )


def layer_norm(name: str, dtype: str = 'float32', epsilon: float = EPSILON) -> nn.LayerNorm:
    """A layer norm over the channels of each pixel (Ba et al. 2016, arXiv:1607.06450)."""
    return nn.LayerNorm(epsilon, dtype=jnp.dtype(dtype), use_fast_variance=False, name=name)


def gelu(x: Float[Array, '*n']) -> Float[Array, '*n']:
    """The exact GELU: Hendrycks and Gimpel 2016 (arXiv:1606.08415)."""
    return nn.gelu(x, approximate=False)


class MLP(nn.Module):
    """Two linear layers with a GELU between them.

    Attributes:
      hidden: channels between the two.
      dtype: name of the type computed in; parameters stay float32.
    """

    hidden: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, '*n c']) -> Float[Array, '*n c']:
        """Features of the same shape."""
        h = gelu(linear(self.hidden, 'fc1', self.dtype)(x))
        return linear(x.shape[-1], 'fc2', self.dtype)(h)
