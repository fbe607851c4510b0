"""ActNorm: a shift and a scale of every channel, begun from the first batch."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.parameter import parameter

MAX_LOG_SCALE = 10.0  # a factor of 22,000 either way; no batch of images asks for more
EPSILON = 1e-6


class ActNorm(nn.Module):
    """y = (x + bias) * exp(log_scale) for each channel.

    Kingma and Dhariwal 2018, "Glow" (arXiv:1807.03039), section 3.1. The log-determinant is
    height * width * sum(log_scale).

    A call in which the collection 'params' is mutable, other than `init`, begins with the data: a
    layer whose bias is all zero takes the bias and scale with which its output has mean 0 and
    deviation `scale` in every channel, over the whole batch, also where that is sharded. A layer
    that has learnt, or was loaded, stays as it is. Inverses never start a layer.

    log_scale is clamped to +-10.

    Attributes:
      channels: of x.
      scale: deviation of y that a layer begins with; SRFlow's layers all have 1.
    """

    channels: int
    scale: float = 1.0

    def setup(self) -> None:
        """Makes the parameters."""
        self.bias = parameter(self, 'bias', nn.initializers.zeros, (self.channels,))
        self.log_scale = parameter(self, 'log_scale', nn.initializers.zeros, (self.channels,))

    def __call__(
        self, x: Float[Array, 'n h w c']
    ) -> tuple[Float[Array, 'n h w c'], Float[Array, ' n']]:
        """Returns the normalised x, float32, and the log-determinant."""
        x = x.astype(jnp.float32)
        bias, log_scale = self._parameters(x)
        log_determinant = x.shape[1] * x.shape[2] * log_scale.sum()
        return (x + bias) * jnp.exp(log_scale), jnp.full(x.shape[0], log_determinant)

    def inverse(self, y: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Returns the x that y came from, float32."""
        bias, log_scale = _shape(self.bias, self.log_scale)
        return y.astype(jnp.float32) * jnp.exp(-log_scale) - bias

    def _parameters(self, x: Array) -> tuple[Array, Array]:
        if not self.is_mutable_collection('params') or self.is_initializing():
            return _shape(self.bias, self.log_scale)
        fresh = ~self.bias.any()
        bias = jnp.where(fresh, -x.mean((0, 1, 2)), self.bias)
        deviation = jnp.sqrt(jnp.square(x + bias[None, None, None]).mean((0, 1, 2)))
        log_scale = jnp.where(fresh, jnp.log(self.scale / (deviation + EPSILON)), self.log_scale)
        self.put_variable('params', 'bias', bias)
        self.put_variable('params', 'log_scale', log_scale)
        return _shape(bias, log_scale)


def _shape(bias: Array, log_scale: Array) -> tuple[Array, Array]:
    """Returns both as they are applied to images."""
    log_scale = jnp.clip(log_scale, -MAX_LOG_SCALE, MAX_LOG_SCALE)
    return bias[None, None, None], log_scale[None, None, None]
