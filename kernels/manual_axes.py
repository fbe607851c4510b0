"""Which axes of a surrounding shard_map arrays vary over: JAX wants it equal where arrays meet."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType
from jaxtyping import Array, PyTree


def varying_axes(tree: PyTree) -> frozenset[str]:
    """Axes of the surrounding shard_map over which one of the arrays varies."""
    found = (jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(tree))
    return frozenset().union(*found)


def vary_equally(tree: PyTree) -> PyTree:
    """Mark all arrays as varying over every axis that one of them varies over.

    The gradient of what every device holds whole is thereby summed over the devices.
    """
    axes = varying_axes(tree)

    def mark(leaf: Array) -> Array:
        missing = tuple(sorted(axes - varying_axes(leaf)))
        return lax.pcast(leaf, missing, to='varying') if missing else leaf

    return jax.tree.map(mark, tree)


def varying_zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Zeros, float32 or wider, that vary over the axes over which `like` does."""
    zeros = jnp.zeros(shape, jnp.promote_types(like.dtype, jnp.float32))
    axes = tuple(sorted(varying_axes(like)))
    return lax.pcast(zeros, axes, to='varying') if axes else zeros


def vary_like(tree: PyTree, like: PyTree) -> PyTree:
    """Mark all arrays as varying over every axis that one of `like` varies over."""
    return vary_equally((tree, like))[0]


def count_devices() -> int:
    """Devices that XLA may split a batch over: those of the mesh in use, without the axes which a
    surrounding shard_map has split already, or all devices where no mesh is in use."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return jax.device_count()
    axes = zip(mesh.axis_sizes, mesh.axis_types, strict=True)
    return math.prod(size for size, kind in axes if kind != AxisType.Manual)
