"""Vector quantisation with a codebook that follows the encoder by moving averages.

The quantiser of van den Oord et al. 2017 (arXiv:1711.00937, section 3 and appendix A.1) as used by
Razavi et al. 2019 (arXiv:1906.00446); start values and smoothing as in rosinality/vq-vae-2-pytorch.
The codebook receives no gradient. Its update is split in three, so that several microbatches (or
devices) update it as one large batch would: `Quantizer` gathers `CodebookStatistics`, which add up
by `merge_statistics`, and `update_codebook` applies them.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

_VARIABLES = ('embedding', 'cluster_size', 'embedding_sum')
REVIVED_SHARE = 2.0  # a revived code starts with this multiple of `revive_below` as cluster size


class QuantizerOutput(NamedTuple):
    """What `Quantizer` returns: codes `quantized` in place of the input, the commitment loss (a
    scalar, not yet weighted) and the `indices` of the codes."""

    quantized: Float[Array, '*batch dim']
    commitment_loss: Float[Array, '']
    indices: Int[Array, '*batch']


class CodebookStatistics(NamedTuple):
    """What a codebook update needs to know of a batch.

    `counts`: how many vectors chose each code; `sums`: the sum of those vectors; `candidates`:
    vectors of the batch to put in the place of dead codes, None where revival is off.
    """

    counts: Float[Array, 'size']
    sums: Float[Array, 'size dim']
    candidates: Float[Array, 'size dim'] | None


def nearest_codes(
    vectors: Float[Array, 'n dim'], embedding: Float[Array, 'size dim']
) -> Int[Array, 'n']:
    """Returns indices of the codes at the least squared distance; of equals, the lowest.

    |z - e|^2 = |z|^2 - 2 z.e + |e|^2 without |z|^2, which no choice depends on. The product is
    taken in full float32, since TF32 would change the choice between near neighbours.
    """
    products = jnp.matmul(vectors, embedding.T, precision=lax.Precision.HIGHEST)
    lengths = jnp.sum(embedding**2, axis=-1)
    return jnp.argmin(lengths[None, :] - 2 * products, axis=-1).astype(jnp.int32)


def codebook_statistics(
    vectors: Float[Array, 'n dim'], indices: Int[Array, 'n'], size: int
) -> CodebookStatistics:
    """Counts and sums the vectors that chose each of `size` codes, without candidates."""
    counts = jnp.zeros(size, vectors.dtype).at[indices].add(1)
    sums = jax.ops.segment_sum(vectors, indices, num_segments=size)
    return CodebookStatistics(counts, sums, candidates=None)


def draw_candidates(
    key: PRNGKeyArray | Array, vectors: Float[Array, 'n dim'], size: int
) -> Float[Array, 'size dim']:
    """Draws `size` of the vectors at random, one from each of `size` equal stretches of them.

    So all are different where there are enough (n >= size), and no sorting is needed.
    """
    bounds = np.arange(size + 1) * len(vectors) // size
    ends = np.maximum(bounds[1:], bounds[:-1] + 1)
    return vectors[jax.random.randint(key, (size,), bounds[:-1], ends)]


def merge_statistics(first: Any, second: Any) -> Any:
    """Statistics of two batches taken together, candidates being those of the second.

    Takes single `CodebookStatistics` or whole `'codebook_statistics'` collections of them.
    """

    def merge(a: CodebookStatistics, b: CodebookStatistics) -> CodebookStatistics:
        return CodebookStatistics(a.counts + b.counts, a.sums + b.sums, b.candidates)

    return jax.tree.map(merge, first, second, is_leaf=lambda x: isinstance(x, CodebookStatistics))


def update_codebook(
    codebook: Mapping[str, Array],
    statistics: CodebookStatistics,
    decay: float,
    epsilon: float,
    revive_below: float = 0.0,
) -> dict[str, Array]:
    """Moves a codebook (`embedding`, `cluster_size`, `embedding_sum`) towards a batch.

    With counts n_i and sums m_i of the batch (arXiv:1711.00937, equations 6 to 8):
    N_i <- decay N_i + (1 - decay) n_i, M_i <- decay M_i + (1 - decay) m_i, e_i = M_i / N'_i, where
    N'_i = (N_i + epsilon) / (sum N + size epsilon) sum N keeps the division away from zero. As in
    the original, N starts at 0, so that a code which the first batch does not use is thrown far
    out and stays unused; revival mends it.

    With `revive_below` > 0, codes with N_i under it become the `candidates` of the statistics,
    with a cluster size of twice the limit: at a decay of 0.99 some 70 steps to prove useful.

    Args:
      codebook: its variables, float32.
      statistics: of the batch.
      decay: of the moving averages.
      epsilon: of the smoothing.
      revive_below: average uses under which a code is replaced; 0: none is.

    Raises:
      ValueError: revival is asked for, and the statistics carry no candidates.
    """
    cluster_size = decay * codebook['cluster_size'] + (1 - decay) * statistics.counts
    embedding_sum = decay * codebook['embedding_sum'] + (1 - decay) * statistics.sums
    total = cluster_size.sum()
    smoothed = (cluster_size + epsilon) / (total + len(cluster_size) * epsilon) * total
    embedding = embedding_sum / smoothed[:, None]
    if revive_below > 0:
        if statistics.candidates is None:
            raise ValueError('to revive codes, the statistics must carry candidates')
        dead = cluster_size < revive_below
        start = REVIVED_SHARE * revive_below
        cluster_size = jnp.where(dead, start, cluster_size)
        embedding = jnp.where(dead[:, None], statistics.candidates, embedding)
        embedding_sum = jnp.where(dead[:, None], start * embedding, embedding_sum)
    return {
        'embedding': embedding,
        'cluster_size': cluster_size,
        'embedding_sum': embedding_sum,
    }


class Quantizer(nn.Module):
    """Replaces each vector of the last axis by the nearest of `size` codes, straight-through.

    The codebook lives in the collection `'codebook'`. A training call gathers the statistics of
    its batch; it writes them to `'codebook_statistics'` (as `statistics`) if that collection is
    mutable, and updates the codebook at once if `'codebook'` is. Evaluation and initialisation
    change nothing. All sums run over the whole batch, also where it is sharded over devices.

    Attributes:
      size: number of codes.
      dim: length of a code.
      decay: of the moving averages, in [0, 1).
      epsilon: smoothing of the cluster sizes.
      revive_below: moving average of the uses of a code in a batch under which it is replaced by
        a random vector of the batch (random stream `'revive'`); 0 turns revival off.
    """

    size: int = 512
    dim: int = 64
    decay: float = 0.99
    epsilon: float = 1e-5
    revive_below: float = 0.0

    def setup(self) -> None:
        """Starts as the original: normal codes, no uses yet, sums equal to the codes."""

        def draw_codes() -> Array:
            key, number = self.make_rng('params'), self.size * self.dim
            codes = jax.random.normal(key, (number,), jnp.float32)
            return codes.reshape(self.size, self.dim)

        self.embedding = self.variable('codebook', 'embedding', draw_codes)
        start = functools.partial(jnp.zeros, self.size, jnp.float32)
        self.cluster_size = self.variable('codebook', 'cluster_size', start)
        self.embedding_sum = self.variable(
            'codebook', 'embedding_sum', lambda: jnp.array(self.embedding.value)
        )

    def __call__(self, z: Float[Array, '*batch dim'], train: bool = False) -> QuantizerOutput:
        """Quantizes z of any float type; distances and losses are computed in float32.

        The commitment loss is mean((sg(e) - z)^2) over all elements; the output is
        z + sg(e - z), in the type of z. Codes are those from before this call's update. The loss of
        each image, `commitment` [n], is sown into the collection 'intermediates'.
        """
        vectors = z.astype(jnp.float32).reshape(-1, self.dim)
        codes = lax.stop_gradient(jnp.asarray(self.embedding.value))
        indices = nearest_codes(lax.stop_gradient(vectors), codes)
        chosen = codes[indices]
        squares = (chosen - vectors) ** 2
        self.sow('intermediates', 'commitment', squares.reshape(len(z), -1).mean(axis=-1))
        loss = jnp.mean(squares)
        quantized = vectors + lax.stop_gradient(chosen - vectors)
        if train and not self.is_initializing():
            self._learn(lax.stop_gradient(vectors), indices)
        return QuantizerOutput(
            quantized.reshape(z.shape).astype(z.dtype), loss, indices.reshape(z.shape[:-1])
        )

    def lookup(self, indices: Int[Array, '*batch']) -> Float[Array, '*batch dim']:
        """Returns the codes at `indices` (0 <= index < size), float32."""
        return jnp.asarray(self.embedding.value)[indices]

    def update(self, statistics: CodebookStatistics) -> None:
        """Applies gathered statistics to the codebook; its collection must be mutable."""
        codebook = {name: jnp.asarray(getattr(self, name).value) for name in _VARIABLES}
        updated = update_codebook(codebook, statistics, self.decay, self.epsilon, self.revive_below)
        for name in _VARIABLES:
            getattr(self, name).value = updated[name]

    def _learn(self, vectors: Float[Array, 'n dim'], indices: Int[Array, 'n']) -> None:
        gather = self.is_mutable_collection('codebook_statistics')
        update = self.is_mutable_collection('codebook')
        if not (gather or update):
            return
        statistics = codebook_statistics(vectors, indices, self.size)
        if self.revive_below > 0:
            candidates = draw_candidates(self.make_rng('revive'), vectors, self.size)
            statistics = statistics._replace(candidates=candidates)
        if gather:
            self.put_variable('codebook_statistics', 'statistics', statistics)
        if update:
            self.update(statistics)
