"""A number for each array that any changed bit changes: how damage to a checkpoint is noticed."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree, UInt32


def fingerprints(tree: PyTree) -> list[int]:
    """Returns a number from 0 to 2**32 - 1 for each array, in the order of `jax.tree.leaves`.

    sum_i (2 i + 1) * bits_i modulo 2**32: the factors are odd, so that a flipped bit never
    cancels; and integer sums do not depend on their order, so neither on the sharding, nor on how
    many processes hold the arrays; all of those must call it.
    """
    return [int(x) for x in jax.device_get(_compute_all(jax.tree.leaves(tree)))]


def _compute_all(arrays: list[Array]) -> UInt32[Array, ' arrays']:
    places = (getattr(x, 'sharding', None) for x in arrays)
    meshes = [place.mesh for place in places if isinstance(place, NamedSharding)]
    everywhere = NamedSharding(meshes[0], PartitionSpec()) if meshes else None
    return _jit_all(everywhere)(arrays)


@functools.cache
def _jit_all(everywhere: NamedSharding | None) -> Callable[[list[Array]], UInt32[Array, ' arrays']]:
    return jax.jit(
        lambda arrays: jnp.stack(list(map(_fingerprint, arrays))), out_shardings=everywhere
    )


def _fingerprint(x: Array) -> UInt32[Array, '']:
    if x.dtype != jnp.bool_:
        x = jax.lax.bitcast_convert_type(x, jnp.dtype(f'uint{8 * x.dtype.itemsize}'))
    bits = x.astype(jnp.uint32)
    place = jnp.zeros(bits.shape, jnp.uint32)  # i, without a reshape that would gather split arrays
    for axis, size in enumerate(bits.shape):
        place = place * size + jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis)
    return jnp.sum(bits * (2 * place + 1), dtype=jnp.uint32)
