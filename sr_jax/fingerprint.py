"""A number for each array that any changed bit changes: how damage to a checkpoint is noticed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, UInt32


def fingerprints(tree: PyTree) -> list[int]:
    """Returns a number from 0 to 2**32 - 1 for each array, in the order of `jax.tree.leaves`.

    sum_i (2 i + 1) * bits_i modulo 2**32: the factors are odd, so that a flipped bit never
    cancels; and integer sums do not depend on their order, so neither on the sharding.
    """
    return [int(x) for x in jax.device_get(_all(jax.tree.leaves(tree)))]


@jax.jit
def _all(arrays: list[Array]) -> UInt32[Array, ' arrays']:
    return jnp.stack([_fingerprint(x) for x in arrays])


def _fingerprint(x: Array) -> UInt32[Array, '']:
    if x.dtype != jnp.bool_:
        x = jax.lax.bitcast_convert_type(x, jnp.dtype(f'uint{8 * x.dtype.itemsize}'))
    bits = x.astype(jnp.uint32).reshape(-1)
    return jnp.sum(bits * (2 * jax.lax.iota(jnp.uint32, bits.size) + 1), dtype=jnp.uint32)
