"""One size larger in a U-Net: Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597)."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import upsample_nearest
from sr_jax.layers.normed_convolution import normed_convolution
from sr_jax.layers.switching import Switching


class Larger(nn.Module):
    """One size larger: features enlarged, others beside them, and two convolutions."""

    features: int
    switching: Switching = Switching()
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'n h w c'],
        skip: Float[Array, 'n h2 w2 d'],
        train: bool = False,
        latents: Float[Array, 'n h3 w3 e'] | None = None,
    ) -> Float[Array, 'n h2 w2 features']:
        """Features as large as `skip`; `latents` are what selectors look at, if there are any."""
        height, width = skip.shape[1:3]
        if (height, width) != x.shape[1:3]:
            x = upsample_nearest(x)[:, :height, :width]
        x = jnp.concatenate([x, skip.astype(x.dtype)], axis=-1)
        sizes = (self.features, 3, 1, 1, self.dtype, train)
        for i in range(2):
            y = normed_convolution(self, self.switching, f'_{i}', x, *sizes, latents)
            x = nn.relu(y)
        return x
