"""The lambda layer: every pixel applies a small linear map made of the whole image.

Bello 2021 (arXiv:2102.08602), section 3 and the convolutional form of section 3.2 ("lambda
convolution"), with the details of the package lambda-networks 0.4.0. Used to let a selector of
switched convolutions see far.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import convolve, uniform_init
from sr_jax.layers.parameter import parameter

_WIDE = 64  # columns of a map that are not cut
_COLUMNS = 32  # about so many columns of a wider one are computed together


class LambdaLayer(nn.Module):
    """Maps features to `features` channels, each head applying the same lambdas to its queries.

    With v values of a channel, k keys and q queries, v = features / heads wide: the content lambda
    is sum_m softmax_m(k)_m v_m, one for the image; the position lambda is a correlation of v
    with a learnt `radius` x `radius` filter for each key. Queries and values are batch-normalised,
    so that in training the images of a batch take part in each other's output.

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
        """Returns features of every pixel, in float32.

        Raises InputError where `features` is not a multiple of `heads`.
        """
        if self.features % self.heads:
            raise InputError(
                f'a lambda layer with {self.heads} heads has a multiple of {self.heads} features, '
                f'not {self.features}; a selector of this kind needs as many kernels'
            )
        n, h, w, channels = x.shape
        start = uniform_init(channels)
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
        """Correlates all channels of the values with the same filters, as images of one channel."""
        n, h, w, width = values.shape
        start = uniform_init(self.radius**2)
        kernel = parameter(self, 'position_kernel', start, (self.radius, self.radius, 1, self.keys))
        bias = parameter(self, 'position_bias', start, (self.keys,))
        maps = values.transpose(0, 3, 1, 2).reshape(n * width, h, w)
        correlate = correlate_small if h * w <= self.radius**2 else correlate_large
        y = correlate(maps, jnp.asarray(kernel)) + jnp.asarray(bias)[None, None, None, :]
        return y.reshape(n, width, h, w, self.keys)


def correlate_small(
    maps: Float[Array, 'n h w'], kernel: Float[Array, 'r r 1 k']
) -> Float[Array, 'n h w k']:
    """Cross-correlates each map with k filters of r x r taps, r odd, zeros around the map.

    As one matrix product: every pixel of a map meets every other, so that it takes (h w)^2 k
    numbers. On CPUs two to three times as fast as `correlate_large` for maps that a filter covers.
    """
    n, h, w = maps.shape
    center, keys = len(kernel) // 2, kernel.shape[-1]
    above, left = max(0, h - 1 - center), max(0, w - 1 - center)
    taps = jnp.pad(kernel[:, :, 0], ((above, above), (left, left), (0, 0)))
    top, first = center + above, center + left  # where the tap of no displacement is
    taps = jnp.stack([taps[top - y : top - y + h] for y in range(h)], axis=1)
    taps = jnp.stack([taps[:, :, first - x : first - x + w] for x in range(w)], axis=3)
    matrix = taps.transpose(0, 2, 1, 3, 4).reshape(h * w, h * w * keys)
    return (maps.reshape(n, h * w) @ matrix).reshape(n, h, w, keys)


def correlate_large(
    maps: Float[Array, 'n h w'], kernel: Float[Array, 'r r 1 k']
) -> Float[Array, 'n h w k']:
    """Cross-correlates as `correlate_small` does, for larger maps.

    A convolution of a single channel leaves most of a CPU idle, and so does its gradient. Here the
    columns of a map are the channels of a convolution along its rows, whose kernel holds the taps
    between each two of them: w / r times the products, as matrix products. Wide maps are cut into
    stretches of about 32 columns, (32 + r) / r. `benchmarks/correlations.py` compares all ways.
    """
    n, h, w = maps.shape
    center, keys = len(kernel) // 2, kernel.shape[-1]
    reach = min(center, h - 1)  # taps further off meet zeros alone
    taps = kernel[center - reach : center + reach + 1, :, 0]
    stretches = 1 if w <= _WIDE else -(-w // _COLUMNS)
    columns = -(-w // stretches)
    margin = 0 if stretches == 1 else center  # columns of its neighbours that a stretch sees
    inputs = columns + 2 * margin
    # XLA's fast convolutions on CPUs take no kernel that is longer than what it goes over.
    short = max(0, len(taps) - h)
    maps = jnp.pad(maps, ((0, 0), (0, short), (margin, stretches * columns - w + margin)))
    starts = [i * columns for i in range(stretches)]
    maps = jnp.stack([maps[:, :, start : start + inputs] for start in starts], axis=1)
    matrices = _between_columns(taps, inputs, columns, center - margin)
    y = convolve(maps.reshape(-1, 1, h + short, inputs), matrices.reshape(1, len(taps), inputs, -1))
    y = y.reshape(n, stretches, -1, columns, keys).transpose(0, 2, 1, 3, 4)
    return y.reshape(n, -1, stretches * columns, keys)[:, :h, :w]


def _between_columns(taps, inputs, outputs, first):
    """Returns [t, inputs, outputs, k]: the tap, of taps [t, r, k], from each input column to each
    output column; `first` is the one between the first two."""
    before, after = max(0, outputs - 1 - first), max(0, inputs + first - taps.shape[1])
    taps = jnp.pad(taps, ((0, 0), (before, after), (0, 0)))
    start = before + first - (outputs - 1)
    taps = _shifted(taps[:, start : start + inputs + outputs - 1], 1, outputs)
    return taps.swapaxes(1, 2)


def _shifted(x: Array, axis: int, count: int) -> Array:
    """Returns stretches of x, all of one length, a place further to the front each; the last one
    begins with x. The axis becomes two, [count, length].

    Not cut out one by one, of which XLA makes long programs: x and one place more, repeated, fall
    into rows of the length of x, each of which begins a place earlier than the one before.
    """
    before, length, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    x = jnp.pad(x, [(0, i == axis) for i in range(x.ndim)])
    x = jnp.broadcast_to(jnp.expand_dims(x, axis), (*before, count, length + 1, *after))
    x = x.reshape(*before, count * (length + 1), *after)
    x = lax.slice_in_dim(x, 0, count * length, axis=axis).reshape(*before, count, length, *after)
    return lax.slice_in_dim(x, count - 1, length, axis=axis + 1)
