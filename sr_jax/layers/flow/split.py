"""Half of the channels leave the flow as latents, given the other half."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.flow.coupling import ZeroConvolution
from sr_jax.layers.flow.gaussian import log_density

MAX_LOG_DEVIATION = 10.0


class Split(nn.Module):
    """z = (z1, z2): z1 goes on; z2 leaves as latents (z2 - m) / exp(s), (m, s) = convolution(z1).

    Kingma and Dhariwal 2018 (arXiv:1807.03039), `split2d` of their code: the convolution begins
    with zeros, so that z2 is standard normal at first. s is clamped to +-10.

    Attributes:
      channels: of z, even.
      dtype: name of the type that the convolution computes in.
    """

    channels: int
    dtype: str = 'float32'

    def setup(self) -> None:
        """Makes the parts."""
        self.half = self.channels // 2
        self.prior = ZeroConvolution(2 * self.half, self.dtype)

    def __call__(
        self, z: Float[Array, 'n h w c']
    ) -> tuple[Float[Array, 'n h w c2'], Float[Array, 'n h w c2'], Float[Array, ' n']]:
        """Returns what goes on, the latents, and log N(z2; m, exp(s)^2) of each image.

        That is the log-density of the latents under the standard normal, and the log-determinant.
        """
        first, second = z[..., : self.half], z[..., self.half :]
        mean, log_deviation = self._moments(first)
        latents = (second - mean) * jnp.exp(-log_deviation)
        return first, latents, log_density(second, mean, log_deviation)

    def inverse(
        self, first: Float[Array, 'n h w c2'], latents: Float[Array, 'n h w c2']
    ) -> Float[Array, 'n h w c']:
        """Returns the z of what went on and of latents."""
        mean, log_deviation = self._moments(first)
        return jnp.concatenate([first, mean + jnp.exp(log_deviation) * latents], axis=-1)

    def _moments(self, first: Array) -> tuple[Array, Array]:
        y = self.prior(first)
        return y[..., 0::2], jnp.clip(y[..., 1::2], -MAX_LOG_DEVIATION, MAX_LOG_DEVIATION)
