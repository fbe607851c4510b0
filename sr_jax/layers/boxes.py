"""Boxes, [top, left, bottom, right] in pixels: how they overlap, and which of many are kept."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


def area(boxes: Float[Array, '*n 4']) -> Float[Array, '*n']:
    """Returns the area of each box."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _overlap(
    first: Float[Array, '*n 4'], second: Float[Array, '*n 4']
) -> tuple[Float[Array, '*n'], Float[Array, '*n']]:
    """Returns the area that two boxes share, and the one that they cover."""
    inside = jnp.minimum(first[..., 2:], second[..., 2:])
    inside = inside - jnp.maximum(first[..., :2], second[..., :2])
    shared = jnp.prod(jnp.maximum(inside, 0), axis=-1)
    return shared, area(first) + area(second) - shared


def intersection_over_union(
    first: Float[Array, '*n 4'], second: Float[Array, '*n 4']
) -> Float[Array, '*n']:
    """Returns of each pair of boxes the shared area over the covered one."""
    shared, covered = _overlap(first, second)
    return shared / jnp.maximum(covered, 1e-7)


def generalized_overlap(
    first: Float[Array, '*n 4'], second: Float[Array, '*n 4']
) -> Float[Array, '*n']:
    """Returns the generalized intersection over union, from -1 to 1: Rezatofighi et al. 2019
    (arXiv:1902.09630), which tells boxes apart that do not touch."""
    shared, covered = _overlap(first, second)
    around = jnp.maximum(first[..., 2:], second[..., 2:])
    around = around - jnp.minimum(first[..., :2], second[..., :2])
    hull = jnp.prod(around, axis=-1)
    overlap = shared / (covered + 1e-7)
    return overlap - (hull - covered) / (hull + 1e-7)


def suppress(boxes: Float[Array, 'k 4'], threshold: float) -> Bool[Array, ' k']:
    """Returns which boxes are kept of some that are sorted, the most certain first.

    A box goes where one before it that is kept overlaps it by more than the threshold.
    """
    overlaps = intersection_over_union(boxes[:, None], boxes[None]) > threshold
    later = jnp.arange(len(boxes))[None] > jnp.arange(len(boxes))[:, None]
    overlaps = overlaps & later

    def look_at(i: Array, kept: Array) -> Array:
        return kept & ~(overlaps[i] & kept[i])

    return lax.fori_loop(0, len(boxes), look_at, jnp.ones(len(boxes), bool))
