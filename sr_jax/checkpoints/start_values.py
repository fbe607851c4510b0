"""What a run begins with, by a program whose size is that of what differs in it.

XLA compiles each array of a start by itself: of a deep network, hundreds of kernels that are alike
but for their keys, and as many zeros again for each moment of the optimizer. Here the arrays that
are made alike come out of the program as one, and are taken apart outside of it; constants do not
come out of it at all.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from sr_jax.devices import memory, sharding
from sr_jax.layers.random_draws import (
    draw_in_loops,
    evaluate,
    kind_of_draw,
    run_step,
    shared_stack,
    take,
)

# What may be done to each number of a draw by itself, and what to a constant.
SCALING = frozenset({'mul', 'add', 'sub', 'div', 'neg', 'reshape', 'convert_element_type'})
SPREADING = frozenset({'copy', 'broadcast_in_dim'})


class Source(NamedTuple):
    """What an output of a jaxpr is made of.

    Attributes:
      atom: a literal, which is then all of the output, or the variable of a draw.
      draw: of what kind the draw is; None of a literal.
      scaling: the equations from the draw to the output.
    """

    atom: Any
    draw: tuple[Any, ...] | None
    scaling: tuple[JaxprEqn, ...]


class Group(NamedTuple):
    """Outputs of a jaxpr that differ in their draws alone.

    Attributes:
      drawn: variables of the draws.
      scaling: what is made of each.
      rows: for each output, by its number, the place of its draw among these.
    """

    drawn: list[Any]
    scaling: tuple[JaxprEqn, ...]
    rows: dict[int, int]


def make_start(init: Callable[[Array], PyTree], seed: int, mesh: Mesh) -> PyTree:
    """Returns what a pure function of a seed makes, laid out on a mesh; no two arrays share memory.

    They are those of `jax.jit(draw_in_loops(init))`, bit for bit, which is also the program of
    several processes. Over an axis 'fsdp' it is `jax.jit(init)`, so that what is split over devices
    is drawn where it lies.

    Args:
      init: takes a uint32. What it makes otherwise than by scaling draws or as constants is
        compiled array by array.
      seed: for it.
      mesh: the devices.

    Raises:
      InputError: no device of this machine holds that.
    """
    key = np.uint32(seed)
    traced = jax.jit(init).trace(key)
    places = sharding.layout(traced.out_info, mesh)
    memory.check_room(
        jax.tree.map(
            lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place),
            traced.out_info,
            places,
        )
    )
    if sharding.FSDP_AXIS in mesh.axis_names:
        return jax.jit(init, out_shardings=places)(key)
    if jax.process_count() > 1:
        return jax.jit(draw_in_loops(init), out_shardings=places)(key)
    leaves, structure = jax.tree.flatten(places)
    return jax.tree.unflatten(structure, _make_apart(traced.jaxpr, key, mesh, leaves))


def _make_apart(
    closed: ClosedJaxpr, seed: np.uint32, mesh: Mesh, places: Sequence[Any]
) -> list[Array]:
    """Returns the outputs of a jaxpr of a seed, each in its place."""
    outputs = closed.jaxpr.outvars
    sources = find_sources(closed.jaxpr)
    full = {i: one for i, one in sources.items() if isinstance(one.atom, Literal)}
    groups = _group({i: one for i, one in sources.items() if i not in full})
    rows = {i: (g, row) for g, group in enumerate(groups) for i, row in group.rows.items()}
    others = [i for i in range(len(outputs)) if i not in full and i not in rows]

    def program(seed: Array) -> tuple[list[Array], list[Array]]:
        """The arrays of each group as one, and the others."""
        wanted = [outputs[i] for i in others] + [one for group in groups for one in group.drawn]
        made = evaluate(closed, [seed], wanted)
        rest = iter(made[len(others) :])
        stacks = [_scale(group, [next(rest) for _ in group.drawn]) for group in groups]
        return stacks, [take(value) for value in made[: len(others)]]

    laid = [sharding.replicated_sharding(mesh)] * len(groups), [places[i] for i in others]
    stacks, made = jax.jit(program, out_shardings=laid)(seed)
    stacks = jax.device_get(stacks)
    leaves = dict(zip(others, made, strict=True))
    leaves |= _put({i: stacks[g][row] for i, (g, row) in rows.items()}, places)
    del stacks  # before there is more
    leaves |= _put({i: _fill(outputs[i].aval, one.atom.val) for i, one in full.items()}, places)
    return [leaves[i] for i in range(len(outputs))]


def find_sources(jaxpr: Jaxpr) -> dict[int, Source]:
    """Returns what outputs are made of, by their numbers: those that are constants, or draws scaled
    by known numbers, or copies of those."""
    makers = {made: step for step in jaxpr.eqns for made in step.outvars}
    found = {i: _find_source(atom, makers) for i, atom in enumerate(jaxpr.outvars)}
    return {i: one for i, one in found.items() if one is not None}


def _find_source(atom: Any, makers: Mapping[Any, JaxprEqn]) -> Source | None:
    if getattr(atom.aval, 'weak_type', True):  # what is put somewhere has a type of its own
        return None
    steps: list[JaxprEqn] = []
    draw = None
    while not isinstance(atom, Literal):
        step = makers.get(atom)
        if step is None or (draw := kind_of_draw(step)) is not None:
            break
        inputs = [one for one in step.invars if not isinstance(one, Literal)] or step.invars
        if len(inputs) != 1 or step.primitive.name not in SCALING | SPREADING:
            return None
        atom = inputs[0]
        steps.append(step)
    names = {step.primitive.name for step in steps}
    if isinstance(atom, Literal):
        return Source(atom, None, ()) if names.isdisjoint(SCALING) else None
    if draw is None or 'broadcast_in_dim' in names:
        return None
    scaling = tuple(step for step in steps[::-1] if step.primitive.name in SCALING)
    return Source(atom, draw, scaling)


def _group(sources: Mapping[int, Source]) -> list[Group]:
    """Returns the outputs that differ in their draws alone together, if those are several."""
    together: dict[Any, dict[int, Source]] = defaultdict(dict)
    for i, one in sources.items():
        together[_describe(one)][i] = one
    groups = []
    for members in together.values():
        drawn = list(dict.fromkeys(one.atom for one in members.values()))
        if len(drawn) > 1:
            places = {atom: row for row, atom in enumerate(drawn)}
            scaling = next(iter(members.values())).scaling
            rows = {i: places[one.atom] for i, one in members.items()}
            groups.append(Group(drawn, scaling, rows))
    return groups


def _describe(source: Source) -> tuple[Any, ...]:
    """Returns what is equal for outputs that differ in their draws alone."""
    return source.draw, source.atom.aval, *(
        (
            step.primitive,
            tuple(sorted(step.params.items())),
            tuple(_bits(one) for one in step.invars),
            step.outvars[0].aval,
        )
        for step in source.scaling
    )


def _bits(atom: Any) -> bytes | None:
    """Returns the bits of a literal; None of a variable."""
    return np.asarray(atom.val).tobytes() if isinstance(atom, Literal) else None


def _scale(group: Group, drawn: Sequence[Any]) -> Array:
    """Returns what is made of each draw of a group, as one array."""
    shape = group.drawn[0].aval.shape
    stack = shared_stack(drawn)
    if stack is None:
        stack = jnp.stack([take(one) for one in drawn])
    else:
        stack = stack[:, : math.prod(shape)].reshape(-1, *shape)

    def scale(x: Array) -> Array:
        for step in group.scaling:
            inputs = [one.val if isinstance(one, Literal) else x for one in step.invars]
            (x,) = run_step(step, inputs)
        return x

    return jax.vmap(scale)(stack)


def _fill(kind: Any, value: Any) -> np.ndarray:
    """Returns a number as an array of a shape and a type, in hardly any memory."""
    return np.broadcast_to(np.asarray(value, kind.dtype), kind.shape)


def _put(arrays: Mapping[int, np.ndarray], places: Sequence[Any]) -> dict[int, Array]:
    """Returns arrays in their places, each in memory of its own.

    JAX may use NumPy's memory as its own, whatever `may_alias` is, so that two arrays might share
    it, and a step that updates its state in place would copy it first. From a device it copies.
    """
    laid = [places[i] for i in arrays]
    first = min(laid[0].device_set, key=lambda device: device.id) if laid else None
    lent = jax.device_put(list(arrays.values()), first)
    copies = jax.device_put(lent, first, may_alias=False)
    return dict(zip(arrays, jax.device_put(copies, laid), strict=True))
