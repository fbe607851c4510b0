"""One size larger in a U-Net: Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597)."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import upsample_nearest
from sr_jax.layers.normed_convolution import normed_convolution
from sr_jax.layers.switching import Switching


def enlarge_features(
    features: int,
    remat: bool,
    fields: Mapping[str, Any],
    skips: Sequence[Float[Array, 'n _h _w _c']],
    x: Float[Array, 'n h w c'],
    train: bool,
    latents: Float[Array, 'n h3 w3 e'] | None = None,
) -> Float[Array, 'n h2 w2 features']:
    """The decoder of a U-Net, 'decoder_<level>' of the module that calls it.

    Args:
      features: at the largest two sizes; at each smaller one twice as many.
      remat: recompute activations in the backward pass.
      fields: of `Larger`.
      skips: the encoder's features, the largest first.
      x: its smallest ones.
      train: whether batch norms take their statistics from the batch.
      latents: what selectors look at, if there are any.
    """
    step = nn.remat(Larger, static_argnums=(3,)) if remat else Larger
    for level in reversed(range(len(skips))):
        own = features * 2 ** max(level - 1, 0)
        x = step(own, **fields, name=f'decoder_{level}')(x, skips[level], train, latents)
    return x


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
