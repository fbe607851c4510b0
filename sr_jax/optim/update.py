"""The accumulated, guarded update of parameters, and what goes with it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array, Bool, Float, PyTree


def ema(
    average: PyTree | None, params: PyTree, decay: float, applied: Bool[Array, '']
) -> PyTree | None:
    """Returns the moving average of the parameters after one more update, if it was applied.

    None where there is no average.
    """
    if average is None:
        return None
    return jax.tree.map(
        lambda a, p: jnp.where(applied, decay * a + (1 - decay) * p, a), average, params
    )


class Gradients(NamedTuple):
    """What `accumulated_update` reports beside the new parameters.

    Attributes:
      loss: mean over the microbatches.
      terms: each named scalar of the loss, mean over the microbatches.
      statistics: of the batch, merged over the microbatches.
      outputs: what the loss gave of each image, in the order of the batch.
      finite: one flag for each parameter array, in the order of `jax.tree.leaves`.
      applied: whether loss and gradients were finite, so that the update was applied.
    """

    loss: Float[Array, '']
    terms: dict[str, Float[Array, '']]
    statistics: Any
    outputs: PyTree
    finite: Bool[Array, ' parameters']
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

    The gradients are averaged by `optax.MultiSteps`; its accumulator lives only within the step,
    so that `opt_state` is the plain optimiser's whatever the accumulation. An update whose loss
    or gradient is not finite is computed but not applied: the old values come back.

    Args:
      loss: (params, microbatch, rng) -> (scalar, (terms, statistics, outputs)); the first axis of
        the outputs' arrays is that of the images.
      loss_scale: dynamic loss scale for float16, or None.
      merge: (statistics, statistics) -> statistics; zeros are its neutral element.

    Returns:
      (params, opt_state, loss_scale, Gradients).
    """
    multi = optax.MultiSteps(optimizer, every_k_schedule=accumulation)
    microbatches = split_microbatches(batch, accumulation)
    keys = jax.random.split(rng, accumulation)

    def step(carry, xs):
        multi_state, scale, _, (total, terms, statistics, finite) = carry
        scale, (value, aside), grads = _gradient(loss, params, scale, *xs)
        new_terms, new_statistics, outputs = aside
        updates, multi_state = multi.update(grads, multi_state, params)
        finite &= jnp.stack([jnp.isfinite(g).all() for g in jax.tree.leaves(grads)])
        terms = jax.tree.map(lambda a, b: a + b / accumulation, terms, new_terms)
        sums = (total + value / accumulation, terms, merge(statistics, new_statistics), finite)
        return (multi_state, scale, updates, sums), outputs

    first = jax.tree.map(lambda x: x[0], microbatches)
    shape, (*shapes, _) = jax.eval_shape(loss, params, first, keys[0])
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), (shape, *shapes))
    finite = jnp.ones(len(jax.tree.leaves(params)), bool)
    state = multi.init(params)._replace(inner_opt_state=opt_state)
    no_updates = jax.tree.map(jnp.zeros_like, params)
    carry = (state, loss_scale, no_updates, (*zeros, finite))
    if accumulation == 1:
        carry, outputs = step(carry, (first, keys[0]))
    else:
        carry, outputs = jax.lax.scan(step, carry, (microbatches, keys))
        outputs = join_microbatches(outputs)
    state, loss_scale, updates, (total, terms, statistics, finite) = carry
    applied = finite.all() & jnp.isfinite(total)
    new = (optax.apply_updates(params, updates), state.inner_opt_state)
    params, opt_state = select(applied, new, (params, opt_state))
    gradients = Gradients(total, terms, statistics, outputs, finite, applied)
    return params, opt_state, loss_scale, gradients


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
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
