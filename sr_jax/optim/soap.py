"""SOAP: Adam in the bases in which Shampoo's statistics of an array's gradients are diagonal."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

# Not rounded to fewer bits, as on GPUs: bases would not stay orthogonal.
_product = functools.partial(jnp.tensordot, precision='highest')


class SoapState(NamedTuple):
    """State of `scale_by_soap`; bases and what is in them are float32 at least.

    Attributes:
      count: updates so far, with the first, which only begins.
      mu: decayed mean of the gradients, in the bases.
      nu: decayed mean of their squares, in the bases.
      statistics: of each array by the number of a side, decayed mean of the gradient times itself,
        summed over all other sides, [n, n].
      bases: by the same numbers, [n, n]; columns are nearly the eigenvectors of the statistics, by
        falling eigenvalues.
    """

    count: Int[Array, '']  # type: ignore[assignment]  # of a tuple's own method
    mu: PyTree
    nu: PyTree
    statistics: PyTree
    bases: PyTree


def scale_by_soap(
    b1: float = 0.95,
    b2: float = 0.95,
    shampoo_beta: float = 0.95,
    eps: float = 1e-8,
    precondition_frequency: int = 10,
    max_precondition_dim: int = 10_000,
) -> optax.GradientTransformation:
    """Returns the transformation of algorithm 3 of Vyas et al. 2024 (arXiv:2409.11321).

    As its authors' program (nikhilvyas/SOAP at a1e5535) by its defaults: the first update is zero
    and only begins the statistics, with bases by an eigendecomposition; `precondition_frequency`
    updates apart, after an update, bases are improved by one power iteration and a QR
    decomposition. Each side of a kernel has statistics of its own, also those of a convolution,
    [height, width, in, out], or of several that are switched; sides are not merged. Sides above
    `max_precondition_dim` have none, and biases and scales are Adam's.

    Ours differs: a side of 1, whose basis is 1 or -1, has none either, which changes nothing; and
    weight decay, here that of `make_optimizer`, takes the parameter before the update, not after
    it, and is part of the first too. A matrix' first gradient does not determine all
    eigenvectors of its longer side: there programs, and numbers of devices, differ.

    Args:
      b1, b2: decay of the first and second moment.
      shampoo_beta: decay of the statistics.
      eps: added to the root of the second moment, before the correction of its bias.
      precondition_frequency: updates from one improvement of the bases to the next.
      max_precondition_dim: the longest side that has statistics.
    """

    def init(params: PyTree) -> SoapState:
        def zeros(p: Array) -> Array:
            return jnp.zeros(p.shape, _type(p))

        def matrices(make: Callable[..., Array]) -> PyTree:
            return jax.tree.map(
                lambda p: {
                    str(side): make((n, n), _type(p))
                    for side, n in enumerate(p.shape)
                    if p.ndim > 1 and 1 < n <= max_precondition_dim
                },
                params,
            )

        moments = jax.tree.map(zeros, params), jax.tree.map(zeros, params)
        bases = matrices(lambda shape, dtype: jnp.eye(shape[0], dtype=dtype))
        return SoapState(jnp.zeros((), jnp.int32), *moments, matrices(jnp.zeros), bases)

    def begin(grads: PyTree, state: SoapState) -> tuple[PyTree, SoapState]:
        statistics = _collect(grads, state.statistics, shampoo_beta)
        bases = _by_size(lambda m: jnp.linalg.eigh(m)[1][..., ::-1], statistics)
        count = optax.safe_increment(state.count)
        started = state._replace(count=count, statistics=statistics, bases=bases)
        return jax.tree.map(jnp.zeros_like, grads), started

    def advance(grads: PyTree, state: SoapState) -> tuple[PyTree, SoapState]:
        count, _, _, statistics, bases = state
        turned = jax.tree.map(_turn, grads, bases)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, turned)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, turned)
        unbiased = jnp.sqrt(1 - b2**count) / (1 - b1**count)
        scaled = jax.tree.map(lambda m, v: unbiased * m / (jnp.sqrt(v) + eps), mu, nu)
        updates = jax.tree.map(
            lambda g, x, q: _turn(x, q, back=True).astype(g.dtype), grads, scaled, bases
        )
        statistics = _collect(grads, statistics, shampoo_beta)
        mu, nu, bases = jax.lax.cond(
            count % precondition_frequency == 0,
            _improve,
            lambda statistics, *moments_and_bases: moments_and_bases,
            *(statistics, mu, nu, bases),
        )
        return updates, SoapState(optax.safe_increment(count), mu, nu, statistics, bases)

    def update(
        grads: PyTree, state: SoapState, params: PyTree | None = None
    ) -> tuple[PyTree, SoapState]:
        del params
        return jax.lax.cond(state.count == 0, begin, advance, grads, state)

    return optax.GradientTransformation(init, update)


def _type(x: Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _turn(x: Array, bases: dict[str, Array], back: bool = False) -> Array:
    """Returns an array in its bases, or from them. Each side comes first once, and goes last."""
    x = x.astype(_type(x))
    for side in range(x.ndim):
        basis = bases.get(str(side))
        x = jnp.moveaxis(x, 0, -1) if basis is None else _product(x, basis, (0, int(back)))
    return x


def _collect(grads: PyTree, statistics: PyTree, decay: float) -> PyTree:
    """Returns the statistics with one more gradient."""

    def collect(g: Array, old: dict[str, Array]) -> dict[str, Array]:
        g = g.astype(_type(g))
        new = {}
        for side, mean in old.items():
            others = tuple(axis for axis in range(g.ndim) if axis != int(side))
            new[side] = decay * mean + (1 - decay) * _product(g, g, (others, others))
        return new

    return jax.tree.map(collect, grads, statistics)


def _improve(
    statistics: PyTree, mu: PyTree, nu: PyTree, bases: PyTree
) -> tuple[PyTree, PyTree, PyTree]:
    """Returns both moments in better bases, and these.

    The second moment only follows the order of the basis' columns.
    """
    products = jax.tree.map(lambda m, q: _product(m, q, 1), statistics, bases)
    orders = jax.tree.map(
        lambda q, p: jnp.argsort((q * p).sum(0), descending=True), bases, products
    )
    sorted_products = jax.tree.map(lambda p, order: p[:, order], products, orders)
    better = _by_size(lambda m: jnp.linalg.qr(m)[0], sorted_products)

    def reorder(v: Array, orders: dict[str, Array]) -> Array:
        for side, order in orders.items():
            v = jnp.take(v, order, axis=int(side))
        return v

    mu = jax.tree.map(lambda m, old, new: _turn(_turn(m, old, back=True), new), mu, bases, better)
    return mu, jax.tree.map(reorder, nu, orders), better


def _by_size(
    decompose: Callable[[Float[Array, 'k n n']], Float[Array, 'k n n']], matrices: PyTree
) -> PyTree:
    """Returns what a function makes of each matrix; it is called once for all of one size.

    Networks have hundreds of matrices of a few sizes: a call for each takes long to compile.
    """
    leaves, structure = jax.tree.flatten(matrices)
    results = list(leaves)
    for size in sorted({len(m) for m in leaves}):
        places = [place for place, m in enumerate(leaves) if len(m) == size]
        found = decompose(jnp.stack([leaves[place] for place in places]))
        for place, result in zip(places, found, strict=True):
            results[place] = result
    return jax.tree.unflatten(structure, results)
