"""Features of two images that need not lie at the same places."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

BANDWIDTH = 0.5
EPSILON = 1e-5


def criterion(
    prediction: Float[Array, 'n h w c'], target: Float[Array, 'n h w c']
) -> Float[Array, '']:
    """-log of the contextual similarity of two maps of features, the mean over the images.

    Mechrez, Talmi, Zelnik-Manor 2018 (arXiv:1803.02077), equations 1 to 5, with cosine distances
    of features from the target's mean: each feature of the target counts by how much nearer one of
    the prediction's is to it than the others. For features of a network
    (`config.loss.perceptual.criterion`); it takes (h w)^2 numbers for each image.

    Raises:
      ValueError: the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f'{prediction.shape} cannot be compared with {target.shape}')
    n, *_, channels = target.shape
    x, y = (z.astype(jnp.float32).reshape(n, -1, channels) for z in (prediction, target))
    mean = y.mean(axis=1, keepdims=True)
    distances = 1 - jnp.einsum('npc,nqc->npq', _unit(x - mean), _unit(y - mean))
    distances = jnp.maximum(distances, 0)
    relative = distances / (distances.min(axis=2, keepdims=True) + EPSILON)
    similar = jax.nn.softmax((1 - relative) / BANDWIDTH, axis=2)
    return -jnp.mean(jnp.log(similar.max(axis=1).mean(axis=1) + EPSILON))


def _unit(x: Array) -> Array:
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + EPSILON**2)
