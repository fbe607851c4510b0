"""Attention of each code to those before it, over a whole map or code by code."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.errors import InputError
from sr_jax.layers.weight_norm import WeightNormConvolution

MASKED = -1e4  # what the published attention puts in the place of scores that must not count


class CausalAttention(nn.Module):
    """Attention of each code to all codes before it; the first one gets zeros.

    Attributes:
      channels: of the output; `heads` divides them.
      heads: of the attention.
      dropout: share of the weights that is dropped in training.
      dtype: name of the type computed in.
    """

    channels: int
    heads: int
    dropout: float
    dtype: str

    def setup(self) -> None:
        """Names the layers."""
        if self.channels % self.heads:
            raise InputError(
                f'attention over {self.channels} channels does not split into {self.heads} heads: '
                'half of `channels` must be a multiple of `heads`'
            )
        self.query, self.key, self.value = (
            WeightNormConvolution(self.channels, dtype=self.dtype) for _ in range(3)
        )
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        query: Float[Array, 'n h w q'],
        key: Float[Array, 'n h w k'],
        train: bool = False,
    ) -> Float[Array, 'n h w channels']:
        """Returns what each code finds."""
        n, height, width, _ = key.shape
        q, k, v = self.query.at(query), self.key.at(key), self.value.at(key)
        q, k, v = (self._split(x.reshape(n, height * width, -1)) for x in (q, k, v))
        before = jnp.tri(height * width, k=-1, dtype=bool)
        weights = self._weigh(q, k, before[None, None])
        weights = jnp.where(before.any(axis=1)[None, None, :, None], weights, 0)
        weights = self.drop(weights, deterministic=not train)
        return jnp.einsum('nhqk,nkhd->nqhd', weights, v).reshape(n, height, width, -1)

    def start(self, n: int, length: int) -> dict[str, Any]:
        """Returns the cache of keys and values before the first code."""
        empty = jnp.zeros((n, length, self.heads, self.channels // self.heads), self.dtype)
        return {'key': empty, 'value': empty}

    def step(
        self,
        cache: dict[str, Any],
        query: Float[Array, 'n q'],
        key: Float[Array, 'n k'],
        place: Int[Array, ''],
    ) -> tuple[Float[Array, 'n channels'], dict[str, Any]]:
        """Returns what the code at a place finds, and takes in its own key and value."""
        before = jnp.arange(cache['key'].shape[1]) < place
        weights = self._weigh(
            self._split(self.query.at(query)[:, None]), cache['key'], before[None, None, None, :]
        )
        weights = jnp.where(place > 0, weights, 0)
        found = jnp.einsum('nhqk,nkhd->nqhd', weights, cache['value'])
        cache = {
            name: lax.dynamic_update_slice_in_dim(
                cache[name], self._split(layer.at(key)[:, None]), place, axis=1
            )
            for name, layer in (('key', self.key), ('value', self.value))
        }
        return found.reshape(len(query), -1), cache

    def _split(self, x: Float[Array, 'n t c']) -> Float[Array, 'n t heads d']:
        return x.reshape(*x.shape[:2], self.heads, -1)

    def _weigh(self, query: Array, key: Array, before: Array) -> Array:
        scores = jnp.einsum('nqhd,nkhd->nhqk', query, key) / jnp.sqrt(query.shape[-1])
        scores = jnp.where(before, scores.astype(jnp.float32), MASKED)
        return jax.nn.softmax(scores).astype(self.dtype)
