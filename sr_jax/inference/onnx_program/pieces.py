"""Programs that are written piece by piece, since jax2onnx 0.17.1 looks through all operations that
it has written for each one more: of twice as many, writing takes four times as long."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from sr_jax.inference.onnx_program.jaxpr import evaluate

INPUT, OUTPUT = 'input', 'output'
MOST = 100  # equations of a piece, of which it has half at least


class Piece(NamedTuple):
    """Some equations of a jaxpr that follow each other; a jaxpr to `evaluate`.

    Attributes:
      constvars: its constants.
      invars: what they need of what was given or made before, but constants.
      eqns: the equations.
      outvars: what they make of which something is made later.
    """

    constvars: Sequence[Any]
    invars: Sequence[Any]
    eqns: Sequence[Any]
    outvars: Sequence[Any]


def write(apply: Callable[[Array], Array], shape: jax.ShapeDtypeStruct) -> Any:
    """An `onnx.ModelProto` of a function of one array, both [n, h, w, c]; there [n, c, h, w].

    Every piece is given the function's array too: jax2onnx asks it for the lengths of its sides.
    """
    n, *sides, channels = shape.shape
    turned = jax.ShapeDtypeStruct((n, channels, *sides), shape.dtype)
    traced = jax.make_jaxpr(lambda x: apply(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))(turned)
    flat = jax.make_jaxpr(lambda x: evaluate(traced.jaxpr, traced.consts, x))(turned)
    for most in (MOST, 2 * MOST, len(flat.eqns)):
        programs = _convert(flat, cut(flat.jaxpr, most // 2, most))
        if programs is not None:
            return put_together(programs)
    raise ValueError('its converter loses results')


def _convert(flat: Any, pieces: Sequence[Piece]) -> list[Any] | None:
    """The programs of pieces; None where jax2onnx loses what one of them gives.

    It may, where a piece ends with a convolution's bias (MoSR, RealPLKSR).
    """
    from jax2onnx import to_onnx  # type: ignore[import-not-found]

    (x,), (y,) = flat.jaxpr.invars, flat.jaxpr.outvars
    names = {x: INPUT, y: OUTPUT}
    programs = []
    for piece in pieces:
        given = [x, *(each for each in piece.invars if each is not x)]
        for each in piece.outvars:
            names.setdefault(each, f'between_{len(names)}')
        program = to_onnx(
            functools.partial(_run, piece._replace(invars=given), flat.consts),
            [jax.ShapeDtypeStruct(each.aval.shape, each.aval.dtype) for each in given],
            input_names=[names[each] for each in given],
            output_names=[names[each] for each in piece.outvars],
        )
        if not gives_all(program):
            return None
        programs.append(program)
    return programs


def gives_all(program: Any) -> bool:
    """Whether a program, an `onnx.ModelProto`, has a node or numbers for each of its outputs."""
    graph = program.graph
    made = {name for node in graph.node for name in node.output}
    made.update(tensor.name for tensor in graph.initializer)
    return made.issuperset(value.name for value in graph.output)


def _run(piece: Piece, consts: Sequence[Any], *given: Array) -> tuple[Any, ...]:
    return tuple(evaluate(piece, consts, *given))


def cut(jaxpr: Any, least: int, most: int) -> list[Piece]:
    """Cuts a jaxpr where little of what was made is needed later, and leaves out what never is.

    Args:
      jaxpr: that calls no other one.
      least: equations of a piece, but of the last one.
      most: equations of a piece.
    """
    equations = _find_needed(jaxpr)
    made = {each: i for i, equation in enumerate(equations) for each in equation.outvars}
    last = {each: i for i, equation in enumerate(equations) for each in _variables(equation.invars)}
    last |= dict.fromkeys(_variables(jaxpr.outvars), len(equations))
    crossing = Counter(  # places before equations, by what was made before and is needed later
        i
        for each in made.keys() & last.keys()
        for i in range(made[each] + 1, last[each] + 1)
    )
    places = [0]
    while len(equations) - places[-1] > most:
        within = range(places[-1] + least, places[-1] + most + 1)
        places.append(min(within, key=lambda i: (crossing[i], -i)))
    places.append(len(equations))
    pieces = []
    for start, end in itertools.pairwise(places):
        part = equations[start:end]
        used = dict.fromkeys(each for equation in part for each in _variables(equation.invars))
        given = [each for each in used if each in made and made[each] < start]
        given += [each for each in used if each in jaxpr.invars]
        own = [each for equation in part for each in equation.outvars]
        needed = [each for each in own if last.get(each, -1) >= end]
        pieces.append(Piece(jaxpr.constvars, given, part, needed))
    return pieces


def _find_needed(jaxpr: Any) -> list[Any]:
    """The equations on which the results depend."""
    needed, equations = {*_variables(jaxpr.outvars)}, []
    for equation in reversed(jaxpr.eqns):
        if not needed.isdisjoint(equation.outvars):
            equations.append(equation)
            needed.update(_variables(equation.invars))
    return equations[::-1]


def _variables(atoms: Sequence[Any]) -> list[Any]:
    """What of these is no number."""
    return [atom for atom in atoms if not hasattr(atom, 'val')]


def put_together(programs: Sequence[Any]) -> Any:
    """One program of several, of which each takes what those before it gave, by name.

    Args:
      programs: `onnx.ModelProto`s, which are changed; the inputs of the first one are the whole's,
        and so are the outputs of the last one.
    """
    whole, *rest = programs
    for number, program in enumerate(programs):
        graph, prefix = program.graph, f'piece_{number}_'
        shared = {value.name for value in [*graph.input, *graph.output]}
        _rename(graph, prefix, shared)
        for value in graph.value_info:
            for side in value.type.tensor_type.shape.dim:
                if side.dim_param.startswith('dynamic'):
                    side.dim_param = prefix + side.dim_param  # means another length elsewhere
    for program in rest:
        graph, given = whole.graph, [*whole.graph.output]
        graph.node.extend(program.graph.node)
        graph.initializer.extend(program.graph.initializer)
        graph.value_info.extend([*given, *program.graph.value_info])
        del graph.output[:]
        graph.output.extend(program.graph.output)
    return whole


def _rename(graph: Any, prefix: str, kept: set[str]) -> None:
    """Puts a prefix before the names of nodes and values, also in the graphs of a loop's body.

    `onnx.compose` renames numbers that a graph gives too, but not where such a body needs them.
    """

    def new(name: str) -> str:
        return prefix + name if name and name not in kept else name

    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, prefix, kept)
    for value in [*graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        value.name = new(value.name)
