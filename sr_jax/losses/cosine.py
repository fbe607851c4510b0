"""The angle between features: TecoGAN's perceptual loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def criterion(
    prediction: Float[Array, '*shape c'], target: Float[Array, '*shape c']
) -> Float[Array, '']:
    """Returns 1 minus the mean cosine of the angle between the channels of two pixels; 0 to 2.

    Chu et al. 2020 (arXiv:1811.09393), section 3.3, with the 1e-12 of their code under each root.
    """
    prediction, target = (x.astype(jnp.float32) for x in (prediction, target))
    lengths = [jnp.sqrt(jnp.square(x).sum(-1) + 1e-12) for x in (prediction, target)]
    return 1 - jnp.mean((prediction * target).sum(-1) / (lengths[0] * lengths[1]))
