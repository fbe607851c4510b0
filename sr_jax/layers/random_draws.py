"""Random draws that a program makes many of, as a few loops.

XLA compiles each draw anew. What begins a network has one for each array, and these are most of
what is compiled then; in loops they take a fraction of the time.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, DebugInfo, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun
from jaxtyping import Array, PyTree

# By what JAX calls them in a program: functions of a key, of further scalars, and of a shape.
DRAWS: dict[str, Callable[..., Array]] = {
    '_normal': lambda key, shape: jax.random.normal(key, shape),
    '_uniform': lambda key, low, high, shape: jax.random.uniform(
        key, shape, minval=low, maxval=high
    ),
    '_truncated_normal': lambda key, low, high, shape: jax.random.truncated_normal(
        key, low, high, shape
    ),
}
# Draws of up to so many numbers share a loop, then those of up to twice as many, and so on: what a
# draw is shorter than the longest one of its loop is drawn in vain.
SMALL = 2**14

# Of an equation that is evaluated by itself.
NAMELESS = DebugInfo('draw_in_loops', 'equation', None, None)


def draw_in_loops(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """Returns a function with the same results, whose draws of random numbers are made in loops, as
    are the keys of these.

    Of a draw by JAX's threefry, each number depends on the key and on its place alone, so that a
    longer draw begins with a shorter one (`jax_threefry_partitionable`). Results are the same but
    for rounding: XLA computes with numbers that it knows beforehand otherwise.

    Args:
      function: a pure one, to be compiled. What its results do not need is left out.
    """

    def drawing(*inputs: Any) -> PyTree:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*inputs)
        found = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(inputs))
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    return drawing


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Returns the outputs of a jaxpr."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for steps in _plan(jaxpr):
        taken = [[read(atom) for atom in step.invars] for step in steps]
        made = [_do(steps[0], taken[0])] if len(steps) == 1 else _loop(steps, taken)
        for step, arrays in zip(steps, made, strict=True):
            values.update(zip(step.outvars, arrays, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _plan(jaxpr: Jaxpr) -> list[list[JaxprEqn]]:
    """Returns the equations that are needed, in an order in which they can be evaluated: those of
    one kind that are as far behind the inputs, together."""
    depths: dict[Any, int] = {}
    together: dict[tuple[int, Any], list[JaxprEqn]] = defaultdict(list)
    for number, step in enumerate(_needed(jaxpr)):
        depth = 1 + max((depths.get(a, 0) for a in _variables(step.invars)), default=0)
        depths.update(dict.fromkeys(step.outvars, depth))
        together[depth, _kind(step) or number].append(step)
    return [together[place] for place in sorted(together, key=lambda place: place[0])]


def _kind(step: JaxprEqn) -> tuple[Any, ...] | None:
    """Returns what equations have in common that are done in one loop; None of one that is not."""
    types = tuple(_type(atom).dtype for atom in step.invars)
    if any(_type(atom).shape for atom in step.invars):
        return None
    if step.primitive.name == 'random_fold_in':
        return step.primitive, types
    if step.primitive.name != 'jit' or step.params['name'] not in DRAWS:
        return None
    made = _type(step.outvars[0])
    known = types[0] == jax.random.key(0, impl='threefry2x32').dtype
    if not known or made.dtype != jnp.float32 or not jax.config.jax_threefry_partitionable:
        return None
    return step.params['name'], types, math.ceil(math.log2(max(made.size / SMALL, 1)))


def _needed(jaxpr: Jaxpr) -> list[JaxprEqn]:
    """Returns the equations that the outputs are made of, in their order."""
    wanted, found = set(_variables(jaxpr.outvars)), []
    for step in reversed(jaxpr.eqns):
        if step.effects or not wanted.isdisjoint(step.outvars):
            wanted.update(_variables(step.invars))
            found.append(step)
    return found[::-1]


def _variables(atoms: Sequence[Any]) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, Literal)]


def _type(atom: Any) -> jax.ShapeDtypeStruct:
    """Returns the shape and the type of an array of a jaxpr."""
    found: jax.ShapeDtypeStruct = atom.aval
    return found


def _do(step: JaxprEqn, inputs: Sequence[Any]) -> Sequence[Any]:
    """Returns the outputs of one equation."""
    pairs = zip(step.invars, inputs, strict=True)
    given = {atom: value for atom, value in pairs if not isinstance(atom, Literal)}
    alone = Jaxpr((), list(given), step.outvars, [step], step.effects, NAMELESS)
    return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*given.values())


def _loop(steps: Sequence[JaxprEqn], inputs: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Returns the outputs of each of several equations of one kind."""
    stacked = [
        jnp.stack([jnp.asarray(value, _type(atom).dtype) for value in values])
        for atom, values in zip(steps[0].invars, zip(*inputs, strict=True), strict=True)
    ]
    if steps[0].primitive.name == 'random_fold_in':
        return [[key] for key in lax.map(lambda taken: jax.random.fold_in(*taken), stacked)]
    made = [_type(step.outvars[0]) for step in steps]
    draw, longest = DRAWS[steps[0].params['name']], max(one.size for one in made)
    drawn = lax.map(lambda taken: draw(*taken, (longest,)), stacked)
    return [[drawn[i, : one.size].reshape(one.shape)] for i, one in enumerate(made)]
