"""The lambda layer: every pixel applies a small linear map made of the whole picture.

Bello 2021 (arXiv:2102.08602), section 3 and the convolutional form of section 3.2 ("lambda
convolution"), with the details of the package lambda-networks 0.4.0. Used to let a selector of
switched convolutions see far.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import convolve, uniform_start


class LambdaLayer(nn.Module):
    """Maps features to `features` channels, each head applying the same lambdas to its queries.

    With v values of a channel, k keys and q queries, v = features / heads wide: the content lambda
    is sum_m softmax_m(k)_m v_m, one for the picture; the position lambda is a correlation of v
    with a learnt `radius` x `radius` filter for each key. Queries and values are batch-normalised,
    so that in training the pictures of a batch take part in each other's output.

    Attributes:
      features: channels of the output, a multiple of `heads`.
      heads: groups of queries that share the lambdas.
      keys: channels of queries and keys.
      radius: taps along each side of the position filters; odd.
    """

    features: int
    heads: int = 2
    keys: int = 16
    radius: int = 23

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h w features']:
        """Features of every pixel, in float32.

        Raises InputError where `features` is not a multiple of `heads`.
        """
        if self.features % self.heads:
            raise InputError(
                f'a lambda layer with {self.heads} heads has a multiple of {self.heads} features, '
                f'not {self.features}; a selector of this kind needs as many kernels'
            )
        n, h, w, channels = x.shape
        start = uniform_start(channels)
        x = x.astype(jnp.float32)

        def project(features: int, name: str) -> Array:
            return nn.Dense(features, use_bias=False, kernel_init=start, name=name)(x)

        queries = BatchNorm(name='norm_q')(project(self.heads * self.keys, 'to_q'), train)
        queries = queries.reshape(n, h, w, self.heads, self.keys)
        keys = jax.nn.softmax(project(self.keys, 'to_k'), axis=(1, 2))
        width = self.features // self.heads
        values = BatchNorm(name='norm_v')(project(width, 'to_v'), train)
        content = jnp.einsum('nhwk,nhwv->nkv', keys, values)
        position = self._position(values)
        y = jnp.einsum('nhwak,nkv->nhwav', queries, content)
        y += jnp.einsum('nhwak,nvhwk->nhwav', queries, position)
        return y.reshape(n, h, w, self.features)

    def _position(self, values: Float[Array, 'n h w v']) -> Float[Array, 'n v h w keys']:
        """All channels of the values go through the same filters, as pictures of one channel."""
        n, h, w, width = values.shape
        start = uniform_start(self.radius**2)
        kernel = self.param('position_kernel', start, (self.radius, self.radius, 1, self.keys))
        bias = self.param('position_bias', start, (self.keys,))
        maps = values.transpose(0, 3, 1, 2).reshape(n * width, h, w)
        correlate = correlate_small if h * w <= self.radius**2 else correlate_large
        y = correlate(maps, jnp.asarray(kernel)) + jnp.asarray(bias)[None, None, None, :]
        return y.reshape(n, width, h, w, self.keys)


def correlate_large(
    maps: Float[Array, 'n h w'], kernel: Float[Array, 'r r 1 k']
) -> Float[Array, 'n h w k']:
    """Cross-correlates each map with k filters of r x r taps, r odd, zeros around the map."""
    return convolve(maps[..., None], kernel)


def correlate_small(
    maps: Float[Array, 'n h w'], kernel: Float[Array, 'r r 1 k']
) -> Float[Array, 'n h w k']:
    """The same as one matrix product: every pixel of a map meets every other, so that it takes
    (h w)^2 k numbers.

    For 128 maps of 16 x 16, 23 taps and 16 filters this took 5 ms on one CPU core, forward and
    backward, and the convolution of a single channel 100 ms.
    """
    n, h, w = maps.shape
    centre, keys = len(kernel) // 2, kernel.shape[-1]
    above, left = max(0, h - 1 - centre), max(0, w - 1 - centre)
    taps = jnp.pad(kernel[:, :, 0], ((above, above), (left, left), (0, 0)))
    top, first = centre + above, centre + left  # where the tap of no displacement is
    taps = jnp.stack([taps[top - y : top - y + h] for y in range(h)], axis=1)
    taps = jnp.stack([taps[:, :, first - x : first - x + w] for x in range(w)], axis=3)
    matrix = taps.transpose(0, 2, 1, 3, 4).reshape(h * w, h * w * keys)
    return (maps.reshape(n, h * w) @ matrix).reshape(n, h, w, keys)
