"""The switch norm: even use of all kernels over the last few hundred batches.

From the article on switched convolutions (neonbjb, 2021) and its code
neonbjb/SwitchedConvolutions. Each training batch writes its mean use of each kernel into a
rotating buffer of q rows; a selector's probabilities are divided by the buffer's mean and made to
sum to one again. As published, nothing is divided until q rows are there; `start='first'` divides
by the mean of those that are there, from the first one on. No gradient flows into the buffer, but
it belongs to the network: inference needs the saved one.

The probabilities come and go as logits: with n the buffer's mean, (p / n) / sum(p / n) is
softmax(logits - log n), which cannot divide by the zero that the use of a dead kernel rounds to.

As with `Quantizer`, the update is split: `SwitchNorm` gathers `SwitchNormStatistics`, which
`merge_statistics` adds up over microbatches, and `update_switch_norm` pushes one row.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers import statistics as gathered

COLLECTION = 'switch_norm'
STATISTICS = 'switch_norm_statistics'
NORM_STARTS = ('full', 'first')
_VARIABLES = ('buffer', 'index', 'filled')


class SwitchNormStatistics(NamedTuple):
    """`totals`: the sum of each kernel's probabilities over all images and pixels."""

    totals: Float[Array, 'b']


def merge_statistics(first: Any, second: Any) -> Any:
    """Statistics of two batches together; single ones, or whole collections of them."""
    return jax.tree.map(jnp.add, first, second)


def update_switch_norm(
    state: Mapping[str, Array], statistics: SwitchNormStatistics
) -> dict[str, Array]:
    """Pushes one row into a buffer (`buffer` [q, b], the `index` of its next row, `filled`).

    A row is the totals over their mean, so that it sums to b. The row after the last is the
    first, and from then on `filled` is true.
    """
    row = statistics.totals / statistics.totals.mean()
    index = state['index'] + 1
    wrapped = index >= len(state['buffer'])
    return {
        'buffer': lax.dynamic_update_index_in_dim(state['buffer'], row, state['index'], axis=0),
        'index': jnp.where(wrapped, 0, index).astype(state['index'].dtype),
        'filled': state['filled'] | wrapped,
    }


def update_switch_norms(
    collection: Mapping[str, Any], statistics: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the collection `'switch_norm'` after a merged `'switch_norm_statistics'`."""
    return gathered.apply_statistics(
        gathered.of_each(update_switch_norm, 'index', 0), collection, statistics
    )


def log_norm(state: Mapping[str, Array], start: str = 'full') -> Float[Array, 'b']:
    """Returns the logarithm of the buffer's mean use of each kernel.

    Zeros until it is filled, or, with the start 'first', while it is empty.

    Means under the least normal number count as that number, so that the result is finite.
    """
    buffer = state['buffer']
    rows = jnp.where(state['filled'], len(buffer), state['index'])
    # Rows that have not been written are zeros.
    mean = buffer.sum(axis=0) / jnp.maximum(rows, 1).astype(buffer.dtype)
    logarithm = jnp.log(jnp.maximum(mean, jnp.finfo(mean.dtype).tiny))
    begun = state['filled'] if start == 'full' else rows > 0
    return lax.stop_gradient(jnp.where(begun, logarithm, 0.0))


class SwitchNorm(nn.Module):
    """Logits of a selector to logarithms of probabilities that are even over many batches.

    A training call whose collection `'switch_norm'` is mutable pushes its row; one whose
    collection `'switch_norm_statistics'` is mutable writes the `statistics` there. Either way the
    row takes part in the norm of its own batch, as in the original. Evaluation, initialisation,
    and training with neither mutable leave everything as it is. Sums run over the whole batch,
    also where it is sharded over devices.

    Attributes:
      size: rows of the buffer, the article's q.
      renormalize: make the probabilities sum to one again, as in the article. False is the later
        form of neonbjb/DL-Art-School (from June 2021), which only divides.
      start: 'full' leaves the probabilities as they are until all rows are written, as in the
        article; 'first' divides by the mean of the rows written so far, so that the norm does not
        set in all at once after `size` batches.
    """

    size: int = 256
    renormalize: bool = True
    start: str = 'full'

    @nn.compact
    def __call__(
        self, logits: Float[Array, '*batch b'], train: bool = False
    ) -> Float[Array, '*batch b']:
        """Returns logarithms, float32, of the normalised probabilities; their exp sums to one.

        Raises InputError for a `start` that does not exist, and in evaluation if no
        `'switch_norm'` collection is given: without the saved buffer results are always poor.
        """
        if self.start not in NORM_STARTS:
            raise InputError(f'norm_start is {self.start!r}: it must be one of {NORM_STARTS}')
        logits = logits.astype(jnp.float32)
        state = self._load(logits.shape[-1], train)
        if train and not self.is_initializing():
            state = self._learn(state, lax.stop_gradient(logits))
        norm = log_norm(state, self.start)[(None,) * (logits.ndim - 1)]
        if self.renormalize:
            return jax.nn.log_softmax(logits - norm, axis=-1)
        return jax.nn.log_softmax(logits, axis=-1) - norm

    def _load(self, breadth: int, train: bool) -> dict[str, Array]:
        """Returns the buffer, or a new one where training or initialisation may start it."""
        may_start = self.is_initializing() or (train and self.is_mutable_collection(COLLECTION))
        if not may_start and not self.has_variable(COLLECTION, 'buffer'):
            where = '/'.join(self.path) or type(self).__name__
            raise InputError(
                f'{where} needs its saved buffer: the variables lack the collection '
                f'{COLLECTION!r}. Pass the one that was saved beside the parameters; without it '
                'results are always poor'
            )
        start = {
            'buffer': lambda: jnp.zeros((self.size, breadth), jnp.float32),
            'index': lambda: jnp.zeros((), jnp.int32),
            'filled': lambda: jnp.zeros((), bool),
        }
        state = {
            name: jnp.asarray(self.variable(COLLECTION, name, start[name]).value)
            for name in _VARIABLES
        }
        if state['buffer'].shape != (self.size, breadth):
            raise InputError(
                f'the collection {COLLECTION!r} has a buffer of shape {state["buffer"].shape}, but '
                f'this network has {self.size} rows of {breadth} kernels: give both the same size'
            )
        return state

    def _learn(self, state: dict[str, Array], logits: Float[Array, '*batch b']) -> dict[str, Array]:
        """Returns the state after this batch's row, saved as far as its collections are mutable."""
        gather = self.is_mutable_collection(STATISTICS)
        update = self.is_mutable_collection(COLLECTION)
        if not (gather or update):
            return state
        probabilities = jax.nn.softmax(logits, axis=-1)
        statistics = SwitchNormStatistics(probabilities.sum(axis=tuple(range(logits.ndim - 1))))
        if gather:
            self.put_variable(STATISTICS, gathered.NAME, statistics)
        state = update_switch_norm(state, statistics)
        if update:
            for name in _VARIABLES:
                self.put_variable(COLLECTION, name, state[name])
        return state
