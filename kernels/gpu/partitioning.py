"""Calls that XLA cannot split over devices by itself, split over the images of the batch.

To XLA a GPU kernel is opaque: left alone, it would gather the whole batch on every device. Here it
is told that arguments whose first axis goes over the images (or over the groups of a routing) may
be split along it, that the others are whole on every device, and whether results are split
likewise or have to be added up. `vmap` runs over the images too where it can.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array

from ..mesh_axes import count_devices


def split_over_devices(
    function: Callable[..., Any],
    split: tuple[Array, ...],
    whole: tuple[Array, ...] = (),
    summed: bool = False,
) -> Any:
    """function(*split, *whole), on every device with its share of the arrays in `split`.

    The function returns an array or a tuple of arrays. With `summed`, they are whole and the sum
    over the devices' results; otherwise their first axis goes over images or groups.
    """
    count = len(split)
    call = _partition(function, count, summed)

    @custom_vmap
    def run_batched(split, whole):
        return call(*split, *whole)

    @run_batched.def_vmap
    def rule(size, batched_axes, split, whole):
        split_axes, whole_axes = batched_axes
        if not summed and not any(whole_axes):
            shapes = jax.eval_shape(
                run_batched, *_shapes_of_one((split, whole), (split_axes, whole_axes))
            )
            merged = [
                _merge(array, axis, size) for array, axis in zip(split, split_axes, strict=True)
            ]
            result = call(*merged, *whole)
            unmerge = lambda array, one: array.reshape(size, *one.shape)  # noqa: E731
            return jax.tree.map(unmerge, result, shapes), jax.tree.map(lambda _: True, shapes)
        axes = (split_axes, whole_axes)

        def run(index):
            pick = lambda array, axis: array[index] if axis else array  # noqa: E731
            return run_batched(*jax.tree.map(pick, (split, whole), axes))

        result = lax.map(run, jnp.arange(size))
        return result, jax.tree.map(lambda _: True, result)

    return run_batched(split, whole)


def _shapes_of_one(arrays, axes):
    """The shapes of one of the mapped calls."""

    def shape(array, axis):
        return jax.ShapeDtypeStruct(array.shape[1:] if axis else array.shape, array.dtype)

    return jax.tree.map(shape, arrays, axes)


def _merge(array, axis: bool, size: int):
    """Puts a mapped axis, or so many copies, into the first axis of the array."""
    if not axis:
        array = jnp.broadcast_to(array[None], (size, *array.shape))
    return array.reshape(-1, *array.shape[2:])


def _partition(function, count: int, summed: bool):
    """The function as XLA may split it, whose first `count` arguments are split."""
    if count_devices() == 1:
        return function
    call = custom_partitioning(function)

    def partition(mesh, arguments, results):
        axes = _axes(mesh, arguments[:count])
        split, whole = (NamedSharding(mesh, PartitionSpec(*spec)) for spec in ((axes,), ()))
        result = jax.tree.map(lambda _: whole if summed else split, results)
        places = (split,) * count + (whole,) * (len(arguments) - count)

        def local(*args):
            output = function(*args)
            return lax.psum(output, axes) if summed and axes else output

        return mesh, local, result, places

    rule = functools.partial(_rule, count=count, summed=summed)
    call.def_partition(partition, sharding_rule=rule)
    return call


def _axes(mesh, arguments) -> tuple[str, ...]:
    """The axes of the mesh that the first argument's first axis is split over, where every split
    argument can be."""
    spec = arguments[0].sharding.spec
    first = spec[0] if spec else None
    axes = first if isinstance(first, tuple) else (first,) if first else ()
    devices = math.prod(mesh.shape[axis] for axis in axes)
    fits = all(argument.shape[0] % devices == 0 for argument in arguments)
    return axes if fits else ()


def _rule(mesh, arguments, results, *, count: int, summed: bool) -> str:
    """Einsum-like text for XLA's propagation of shardings: which axes belong together. Those of the
    images and of the groups are all cut alike."""
    del mesh
    number = iter(range(1000))

    def axes(types, is_split: bool) -> str:
        names = [f'd{next(number)}' for _ in types.shape]
        if is_split and types.shape[0] == first:
            names[0] = 'n'
        return ' '.join(names)

    first = arguments[0].shape[0]
    left = [axes(argument, index < count) for index, argument in enumerate(arguments)]
    right = [axes(result, not summed) for result in results]
    return f'{", ".join(left)} -> {", ".join(right)}'
