"""Random draws that a program makes many of, as a few loops.

XLA compiles each draw anew. What begins a network has one for each array, and these are most of
what is compiled then; in loops they take a fraction of the time.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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
# What a draw is shorter than the longest one of its loop is drawn in vain: up to so many numbers
# of a loop, which takes less time than to compile one more.
MAX_WASTE = 2**23

# Of an equation that is evaluated by itself.
NAMELESS = DebugInfo('draw_in_loops', 'equation', None, None)


@dataclasses.dataclass(frozen=True)
class Row:
    """One of the arrays that a loop makes, before it is taken out.

    Attributes:
      stack: of all that the loop makes: keys [n], or draws [n, size of the largest].
      index: which one.
      shape: its own.
    """

    stack: Array
    index: int
    shape: tuple[int, ...]

    def take(self) -> Array:
        """Returns the array itself."""
        row = self.stack[self.index]
        return row[: math.prod(self.shape)].reshape(self.shape) if row.ndim else row


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
        found = evaluate(closed, jax.tree.leaves(inputs), closed.jaxpr.outvars)
        return jax.tree.unflatten(jax.tree.structure(shapes), map(take, found))

    return drawing


def evaluate(closed: ClosedJaxpr, inputs: Sequence[Any], wanted: Sequence[Any]) -> list[Any]:
    """Returns arrays of a jaxpr, whose draws, and the keys of these, are made in loops.

    Args:
      closed: the jaxpr.
      inputs: its own.
      wanted: variables and literals of it, its outputs or others.

    Returns:
      For each of them an array, or a `Row` where a loop has made it.
    """
    jaxpr = closed.jaxpr
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *inputs], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for steps in _plan(jaxpr, wanted):
        taken = [[read(atom) for atom in step.invars] for step in steps]
        alone = len(steps) == 1
        made = [run_step(steps[0], map(take, taken[0]))] if alone else _loop(steps, taken)
        for step, arrays in zip(steps, made, strict=True):
            values.update(zip(step.outvars, arrays, strict=True))
    return [read(atom) for atom in wanted]


def take(value: Any) -> Any:
    """Returns the array of a `Row`; anything else as it is."""
    return value.take() if isinstance(value, Row) else value


def kind_of_draw(step: JaxprEqn) -> tuple[Any, ...] | None:
    """Returns what is equal for draws that may share a loop; None of anything else."""
    return _kind(step) if step.primitive.name == 'jit' else None


def _plan(jaxpr: Jaxpr, wanted: Sequence[Any]) -> list[list[JaxprEqn]]:
    """Returns the equations that are needed, in an order in which they can be evaluated: those of
    one kind that are as far behind the inputs, together."""
    depths: dict[Any, int] = {}
    together: dict[tuple[int, Any], list[JaxprEqn]] = defaultdict(list)
    for number, step in enumerate(_needed(jaxpr, wanted)):
        depth = 1 + max((depths.get(a, 0) for a in _variables(step.invars)), default=0)
        depths.update(dict.fromkeys(step.outvars, depth))
        together[depth, _kind(step) or number].append(step)
    ordered = sorted(together, key=lambda place: place[0])
    groups = (together[place] for place in ordered)
    return [loop for steps in groups for loop in (_share_loops(steps) if steps[1:] else [steps])]


def _share_loops(steps: Sequence[JaxprEqn]) -> list[list[JaxprEqn]]:
    """Returns equations of one kind by the loops that they share, those of one size in the same."""
    by_size: dict[int, list[JaxprEqn]] = defaultdict(list)
    for step in steps:
        by_size[_type(step.outvars[0]).size].append(step)
    loops: list[list[JaxprEqn]] = []
    longest, waste = 0, 0
    for size, equal in sorted(by_size.items(), reverse=True):
        waste += (longest - size) * len(equal)
        if not loops or waste > MAX_WASTE:
            longest, waste = size, 0
            loops.append([])
        loops[-1] += equal
    return loops


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
    return step.params['name'], types


def _needed(jaxpr: Jaxpr, wanted: Sequence[Any]) -> list[JaxprEqn]:
    """Returns the equations that some variables are made of, in their order."""
    used, found = set(_variables(wanted)), []
    for step in reversed(jaxpr.eqns):
        if step.effects or not used.isdisjoint(step.outvars):
            used.update(_variables(step.invars))
            found.append(step)
    return found[::-1]


def _variables(atoms: Sequence[Any]) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, Literal)]


def _type(atom: Any) -> jax.ShapeDtypeStruct:
    """Returns the shape and the type of an array of a jaxpr."""
    found: jax.ShapeDtypeStruct = atom.aval
    return found


def run_step(step: JaxprEqn, inputs: Iterable[Any]) -> Sequence[Any]:
    """Returns the outputs of one equation of a jaxpr."""
    pairs = zip(step.invars, inputs, strict=True)
    given = {atom: value for atom, value in pairs if not isinstance(atom, Literal)}
    alone = Jaxpr((), list(given), step.outvars, [step], step.effects, NAMELESS)
    return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*given.values())


def _loop(steps: Sequence[JaxprEqn], inputs: Sequence[Sequence[Any]]) -> list[list[Row]]:
    """Returns the outputs of each of several equations of one kind."""
    stacked = [
        _stack(values, _type(atom).dtype)
        for atom, values in zip(steps[0].invars, zip(*inputs, strict=True), strict=True)
    ]
    shapes = [_type(step.outvars[0]).shape for step in steps]
    if steps[0].primitive.name == 'random_fold_in':
        made = lax.map(lambda taken: jax.random.fold_in(*taken), stacked)
    else:
        draw, longest = DRAWS[steps[0].params['name']], max(map(math.prod, shapes))
        made = lax.map(lambda taken: draw(*taken, (longest,)), stacked)
    return [[Row(made, i, shape)] for i, shape in enumerate(shapes)]


def _stack(values: Sequence[Any], dtype: Any) -> Array:
    """Returns numbers or keys as one array."""
    if not any(isinstance(value, Row | jax.Array) for value in values):
        return jnp.asarray(np.asarray(values, dtype))  # numbers that are known
    if (stack := shared_stack(values)) is not None:
        return stack
    return jnp.stack([jnp.asarray(take(value), dtype) for value in values])


def shared_stack(values: Sequence[Any]) -> Array | None:
    """Returns the rows of one loop as they lie in it, [len(values), ...]; None of others."""
    if not all(isinstance(one, Row) and one.stack is values[0].stack for one in values):
        return None
    stack: Array = values[0].stack
    places = [one.index for one in values]
    return stack if places == list(range(len(stack))) else stack[np.asarray(places)]
