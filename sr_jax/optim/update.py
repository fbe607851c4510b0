"""The accumulated, guarded update of parameters, and what goes with it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array, Bool, Float, Int, PyTree

from sr_jax.layers.repeated import count_stacked


def ema(
    average: PyTree | None, params: PyTree, decay: float | Array, applied: Bool[Array, '']
) -> PyTree | None:
    """Returns the moving average of the parameters after one more update, if it was applied.

    None where there is no average.
    """
    if average is None:
        return None
    moved = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)
    return select(applied, moved, average)


def warm_decay(decay: float, warmup: float, step: Int[Array, '']) -> Float[Array, '']:
    """The decay of a moving average at an update: at most (1 + step) / (warmup + step).

    As in TensorFlow's ExponentialMovingAverage, where the warm-up is 10; 0: always `decay`.
    """
    return jnp.minimum(jnp.float32(decay), (1 + step) / (warmup + step))


class Gradients(NamedTuple):
    """What `accumulated_update` reports beside the new parameters.

    Attributes:
      loss: mean over the microbatches.
      terms: each named scalar of the loss, mean over the microbatches.
      statistics: of the batch, merged over the microbatches.
      outputs: what the loss gave of each image, in the order of the batch.
      finite: for each parameter array, and each block of stacked ones, whether the sum of its
        gradient's squares is finite, in the order of `jax.tree.leaves`; where it is not, second
        moments would not be finite either.
      applied: whether loss and gradients were finite, so that the update was applied.
    """

    loss: Float[Array, '']
    terms: dict[str, Float[Array, '']]
    statistics: Any
    outputs: PyTree
    finite: Bool[Array, ' arrays']
    applied: Bool[Array, '']


def split_microbatches(batch: PyTree, count: int) -> PyTree:
    """Returns the batch as [count, B / count, ...]: microbatch i takes images i, i + count, ...

    Strided, so that a batch sharded over devices needs no communication.
    """
    return jax.tree.map(
        lambda x: x.reshape(x.shape[0] // count, count, *x.shape[1:]).swapaxes(0, 1), batch
    )


def join_microbatches(parts: PyTree) -> PyTree:
    """Returns what `split_microbatches` split, as one batch again: [B, ...]."""
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), parts)


def accumulated_update(
    loss: Callable,
    params: PyTree,
    opt_state: PyTree,
    loss_scale: DynamicScale | None,
    batch: PyTree,
    rng: Array,
    *,
    optimizer: optax.GradientTransformation,
    accumulation: int,
    merge: Callable,
) -> tuple[PyTree, PyTree, DynamicScale | None, Gradients]:
    """One update of the parameters from a batch applied as `accumulation` microbatches.

    The loss, its terms and the gradients are averaged; the optimiser sees the mean alone, so that
    `opt_state` is the same whatever the accumulation. An update whose loss or gradient, squared, is
    not finite is not applied: the old values come back.

    Args:
      loss: (params, microbatch, rng) -> (scalar, (terms, statistics, outputs)); the first axis of
        the outputs' arrays is that of the images.
      loss_scale: dynamic loss scale for float16, or None.
      merge: (statistics, statistics) -> statistics; zeros are its neutral element.

    Returns:
      (params, opt_state, loss_scale, Gradients).
    """
    microbatches = split_microbatches(batch, accumulation)
    keys = jax.random.split(rng, accumulation)
    if accumulation == 1:
        only = jax.tree.map(lambda x: x[0], microbatches)
        loss_scale, (value, aside), grads = _gradient(loss, params, loss_scale, only, keys[0])
        terms, statistics, outputs = aside
    else:
        passes = functools.partial(_pass_all, loss, merge, params, loss_scale)
        loss_scale, (value, terms, grads), statistics, outputs = passes(microbatches, keys)
    squares = jnp.concatenate([_squares(*leaf) for leaf in jax.tree.leaves_with_path(grads)])
    finite = jnp.isfinite(squares)
    # The barrier keeps XLA from computing the flag anew, of all arrays, in the selection of each:
    # what is compiled would grow with the square of their number.
    applied = jax.lax.optimization_barrier(finite.all() & jnp.isfinite(value))
    with_norm = optax.with_extra_args_support(optimizer).update
    advance = functools.partial(with_norm, gradient_norm=jnp.sqrt(squares.sum()))
    params, opt_state = _update(advance, applied, grads, params, opt_state)
    gradients = Gradients(value, terms, statistics, outputs, finite, applied)
    return params, opt_state, loss_scale, gradients


def _squares(path: Sequence[Any], gradient: Array) -> Float[Array, ' arrays']:
    """The sums of a gradient's squares, of the array of each block where these are stacked."""
    axes = tuple(range(count_stacked(path), gradient.ndim))
    return jnp.square(gradient).sum(axes).ravel()


def _update(
    advance: Callable,
    applied: Bool[Array, ''],
    grads: PyTree,
    params: PyTree,
    opt_state: PyTree,
) -> tuple[PyTree, PyTree]:
    """The parameters and the optimizer's state, updated if it is to be applied.

    CPUs branch: each array is then updated where it lies. To select from old and new ones, XLA for
    CPUs copies them all first, since the fused parts that write them read each other's.
    """

    def update(grads: PyTree, params: PyTree, state: PyTree) -> tuple[PyTree, PyTree]:
        updates, state = advance(grads, state, params)
        return optax.apply_updates(params, updates), state

    def branch(*values: PyTree) -> tuple[PyTree, PyTree]:
        return jax.lax.cond(applied, update, lambda grads, *old: old, *values)

    def choose(grads: PyTree, *old: PyTree) -> tuple[PyTree, PyTree]:
        return select(applied, update(grads, *old), old)

    return jax.lax.platform_dependent(grads, params, opt_state, cpu=branch, default=choose)


def _pass_all(
    loss: Callable,
    merge: Callable,
    params: PyTree,
    scale: DynamicScale | None,
    microbatches: PyTree,
    keys: Array,
) -> tuple[DynamicScale | None, tuple[Array, PyTree, PyTree], Any, PyTree]:
    """Passes one microbatch after the other.

    Returns:
      The loss scale to go on with; the means of loss, terms and gradients; the merged statistics;
      the outputs of the whole batch.
    """

    def add(carry: tuple[Any, ...], microbatch: tuple[PyTree, Array]) -> tuple[Any, PyTree]:
        scale, means, statistics = carry
        scale, (value, aside), grads = _gradient(loss, params, scale, *microbatch)
        terms, new_statistics, outputs = aside
        means = jax.tree.map(lambda a, b: a + b / len(keys), means, (value, terms, grads))
        return (scale, means, merge(statistics, new_statistics)), outputs

    first = jax.tree.map(lambda x: x[0], (microbatches, keys))
    value, (terms, statistics, _) = jax.eval_shape(loss, params, *first)
    means, statistics = jax.tree.map(
        lambda s: jnp.zeros(s.shape, s.dtype), ((value, terms, params), statistics)
    )
    (scale, means, statistics), outputs = jax.lax.scan(
        add, (scale, means, statistics), (microbatches, keys)
    )
    return scale, means, statistics, join_microbatches(outputs)


def _gradient(
    loss: Callable, params: PyTree, scale: DynamicScale | None, microbatch: PyTree, key: Array
) -> tuple[DynamicScale | None, Any, PyTree]:
    """Returns the loss scale to go on with, the loss with its aside, and the gradient."""
    if scale is None:
        value, grads = jax.value_and_grad(loss, has_aux=True)(params, microbatch, key)
        return scale, value, grads
    scaled = scale.value_and_grad(loss, has_aux=True)(params, microbatch, key)
    return scaled.dynamic_scale, scaled.aux, scaled.grad


def select(condition: Bool[Array, ''], new: PyTree, old: PyTree) -> PyTree:
    """Returns `new` where the condition holds, else `old`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jax.lax.select(condition, a, b), new, old)
