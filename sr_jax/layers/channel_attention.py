"""Attention over channels: factors for each of them, or products of one with another."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import Convolution

EPSILON = 1e-12  # PyTorch's, of vectors made to length 1


class ChannelAttention(nn.Module):
    """Channels times factors, which two layers make of the channels' means over the image.

    Zhang et al. 2018, "Image Super-Resolution Using Very Deep Residual Channel Attention Networks"
    (arXiv:1807.02758), section 3.3.

    Attributes:
      squeezed: channels between the two layers.
      dtype: name of the type computed in; parameters stay float32.
    """

    squeezed: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape."""
        mean = x.mean(axis=(1, 2), keepdims=True)
        h = nn.relu(Convolution(self.squeezed, 1, dtype=self.dtype, name='squeeze')(mean))
        h = Convolution(x.shape[-1], 1, dtype=self.dtype, name='excite')(h)
        return x * nn.sigmoid(h)


def unit_length(x: Float[Array, '*n pixels c'], axis: int) -> Float[Array, '*n pixels c']:
    """Vectors along an axis at length 1; zeros stay zeros."""
    squared = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    # Of zeros, the root has no gradient.
    length = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
    return x / jnp.maximum(length, EPSILON)


def attend_channels(
    q: Float[Array, '*n pixels heads c'],
    k: Float[Array, '*n pixels heads c'],
    v: Float[Array, '*n pixels heads c'],
    temperature: Float[Array, 'heads'],
) -> Float[Array, '*n pixels heads*c']:
    """Channels as sums of the others of their head, by their cosines over the pixels.

    El-Nouby et al. 2021, "XCiT: Cross-Covariance Image Transformers" (arXiv:2106.09681), section
    3.2: softmax(temperature q k^T) v, with queries and keys of length 1; weights in float32.
    """
    q, k = (unit_length(x.astype(jnp.float32), axis=-3) for x in (q, k))
    logits = jnp.einsum('...phc,...phd->...hcd', q, k)
    axes = (None,) * (logits.ndim - 3) + (slice(None), None, None)
    weights = nn.softmax(logits * temperature[axes]).astype(v.dtype)
    made = jnp.einsum('...hcd,...phd->...phc', weights, v)
    return made.reshape(*made.shape[:-2], -1)
