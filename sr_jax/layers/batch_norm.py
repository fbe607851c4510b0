"""Batch normalisation as PyTorch's BatchNorm2d does it (Ioffe, Szegedy 2015, arXiv:1502.03167).

Unlike Flax's, the running variance is the unbiased one; a batch is normalised by its biased
variance. The update is split as `Quantizer`'s is: `BatchNorm` gathers `BatchStatistics`, which
`merge_statistics` joins over microbatches, and `update_batch_norm` applies them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers import statistics as gathered
from sr_jax.layers.parameter import parameter

COLLECTION = 'batch_stats'
STATISTICS = 'batch_norm_statistics'
MOMENTUM = 0.1
EPSILON = 1e-5


class BatchStatistics(NamedTuple):
    """The `number` of values of each channel, their `mean`, and the sum of squared `deviations`."""

    number: Float[Array, '']
    mean: Float[Array, 'c']
    deviations: Float[Array, 'c']


def merge_statistics(first: Any, second: Any) -> Any:
    """Statistics of two batches together; single ones, or whole collections of them.

    Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
    variances", equation 2.1.
    """

    def merge(a: BatchStatistics, b: BatchStatistics) -> BatchStatistics:
        number = a.number + b.number
        step = b.mean - a.mean
        deviations = a.deviations + b.deviations + step**2 * (a.number * b.number / number)
        return BatchStatistics(number, a.mean + step * (b.number / number), deviations)

    return jax.tree.map(merge, first, second, is_leaf=lambda x: isinstance(x, BatchStatistics))


def update_batch_norm(state: Mapping[str, Array], statistics: BatchStatistics) -> dict[str, Array]:
    """Moves the running `mean` and unbiased `var` by a tenth towards those of a batch."""
    variance = statistics.deviations / jnp.maximum(statistics.number - 1, 1)
    return {
        'mean': (1 - MOMENTUM) * state['mean'] + MOMENTUM * statistics.mean,
        'var': (1 - MOMENTUM) * state['var'] + MOMENTUM * variance,
    }


def update_batch_norms(
    collection: Mapping[str, Any], statistics: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the collection `'batch_stats'` after a merged `'batch_norm_statistics'`."""
    return gathered.apply_statistics(
        gathered.of_each(update_batch_norm, 'mean', 1), collection, statistics
    )


class BatchNorm(nn.Module):
    """Normalises each channel: by the batch in training, by running averages in evaluation.

    A training call updates the averages if `'batch_stats'` is mutable, and writes `statistics` to
    `'batch_norm_statistics'` if that is. Sums run over the whole batch, also where it is sharded.

    Attributes:
      epsilon: added to the variance.
      use_scale: whether a factor of each channel is learned, beside its shift.
    """

    epsilon: float = EPSILON
    use_scale: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, '*batch c'], train: bool = False
    ) -> Float[Array, '*batch c']:
        """Normalizes, scales and shifts x by channel, in float32."""
        x = x.astype(jnp.float32)
        channels = x.shape[-1]
        ones = nn.initializers.ones
        scale = parameter(self, 'scale', ones, (channels,)) if self.use_scale else 1.0
        bias = parameter(self, 'bias', nn.initializers.zeros, (channels,))
        mean = self.variable(COLLECTION, 'mean', jnp.zeros, (channels,), jnp.float32)
        var = self.variable(COLLECTION, 'var', jnp.ones, (channels,), jnp.float32)
        if train:
            number = x.size // channels
            used_mean = x.mean(axis=tuple(range(x.ndim - 1)))
            centered = x - _along(used_mean, x)
            deviations = (centered**2).sum(axis=tuple(range(x.ndim - 1)))
            used_var = deviations / number
            if not self.is_initializing():
                self._learn(BatchStatistics(jnp.float32(number), used_mean, deviations))
        else:
            used_var = jnp.asarray(var.value)
            centered = x - _along(jnp.asarray(mean.value), x)
        factor = jnp.asarray(scale) * lax.rsqrt(used_var + self.epsilon)
        return centered * _along(factor, x) + _along(jnp.asarray(bias), x)

    def _learn(self, statistics: BatchStatistics) -> None:
        statistics = lax.stop_gradient(statistics)
        if self.is_mutable_collection(STATISTICS):
            self.put_variable(STATISTICS, gathered.NAME, statistics)
        if self.is_mutable_collection(COLLECTION):
            state = {k: jnp.asarray(self.get_variable(COLLECTION, k)) for k in ('mean', 'var')}
            for name, value in update_batch_norm(state, statistics).items():
                self.put_variable(COLLECTION, name, value)


def _along(values: Float[Array, 'c'], x: Float[Array, '*batch c']) -> Float[Array, '*ones c']:
    """Returns the values of each channel, with axes of one pixel to go with x."""
    return values[(None,) * (x.ndim - 1)]
