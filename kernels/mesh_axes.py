"""The axes of devices that arrays lie on: JAX wants them equal where arrays meet.

Those of a surrounding shard_map, over which arrays vary; and the explicit ones of a mesh, which are
part of an array's type.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
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
    if not axes:
        return tree

    def mark(leaf: Array) -> Array:
        missing = tuple(sorted(axes - varying_axes(leaf)))
        return lax.pcast(leaf, missing, to='varying') if missing else leaf

    return jax.tree.map(mark, tree)


def explicit_axes(tree: PyTree) -> tuple[str, ...]:
    """Axes of the mesh of arrays that are part of their types, as `jax.make_mesh` makes them."""
    for leaf in jax.tree.leaves(tree):
        mesh = jax.typeof(leaf).sharding.mesh
        kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
        found = tuple(name for name, kind in kinds if kind == AxisType.Explicit)
        if found:
            return found
    return ()


def leave_to_compiler(function: Callable[..., PyTree], *inputs: PyTree) -> PyTree:
    """Calls a function of arrays that may lie on explicit axes, without these inside of it.

    What it makes lies as the first of the inputs does along the first axis, where it is as long,
    and whole on each device otherwise.
    """
    axes, first = explicit_axes(inputs), jax.tree.leaves(inputs)[0]
    if not axes:
        return function(*inputs)
    plain = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), inputs)
    sharding = jax.typeof(first).sharding

    def place(made: jax.ShapeDtypeStruct) -> NamedSharding:
        alike = made.shape[:1] == first.shape[:1]
        return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[: int(alike)]))

    where = jax.tree.map(place, jax.eval_shape(function, *plain))
    return jax.sharding.auto_axes(function, axes=axes, out_sharding=where)(*inputs)


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
