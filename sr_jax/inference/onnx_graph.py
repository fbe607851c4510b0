"""What is done for networks to become ONNX programs that are as fast as they can be.

Before jax2onnx sees a network, `evaluate` writes out what it calls, and computes what depends on
weights alone. After it, `join_activations` puts single operations for activations, which the
programs that run such files know how to compute together with the convolution before them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jaxtyping import Array

# Equations of a jaxpr that call another one, and their parameters that hold it.
CALLS = ('jit', 'pjit', 'custom_vjp_call', 'custom_jvp_call', 'remat2', 'checkpoint')
CALLED = ('jaxpr', 'call_jaxpr', 'fun_jaxpr')
SMALL = 2**12  # numbers that are kept, not computed again, even if they were made of fewer


def evaluate(jaxpr: Any, consts: Sequence[Any], *inputs: Any) -> list[Any]:
    """The results of a jaxpr, what it calls written out, and what holds no input computed at once.

    jax2onnx 0.17.1 looks for a class that JAX 0.12 no longer has wherever a function is called, and
    what it puts in place of functions of jax.numpy takes other arguments than these do. What it is
    given of weights alone, onnxruntime 1.31 may compute in every call.

    Args:
      jaxpr: of the function.
      consts: its constants.
      inputs: of the function.
    """
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, 'val') else values[atom]

    for equation in jaxpr.eqns:
        called = next((equation.params[key] for key in CALLED if key in equation.params), None)
        given = [read(atom) for atom in equation.invars]
        made: Any
        if called is not None and equation.primitive.name in CALLS:
            made = evaluate(called.jaxpr, called.consts, *given)
        elif _is_known(equation, given):
            with jax.ensure_compile_time_eval():
                made = equation.primitive.bind(*given, **equation.params)
        elif equation.primitive is lax.pad_p:
            x, value = given
            made = _pad(x, value, equation.params['padding_config'])
        else:
            made = equation.primitive.bind(*given, **equation.params)
        many = equation.primitive.multiple_results or called is not None
        values.update(zip(equation.outvars, made if many else [made], strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _is_known(equation: Any, given: Sequence[Any]) -> bool:
    """Whether an equation's results are numbers, and not many more than it is given."""
    if not given or any(isinstance(x, jax.core.Tracer) for x in given):
        return False
    sides = [side for variable in equation.outvars for side in variable.aval.shape]
    if not all(isinstance(side, int) for side in sides):
        return False
    made = sum(variable.aval.size for variable in equation.outvars)
    return made <= max(SMALL, sum(np.size(x) for x in given))


def _pad(x: Array, value: Array, widths: Sequence[tuple[int, int, int]]) -> Array:
    """`lax.pad`, for which jax2onnx asks for known sizes where there is no need of them."""
    if any(between or before < 0 or after < 0 for before, after, between in widths):
        return lax.pad(x, value, widths)
    for axis, (*around, _) in enumerate(widths):
        before, after = (
            [lax.broadcast(value, (*x.shape[:axis], width, *x.shape[axis + 1 :]))]
            if width != 0
            else []
            for width in around
        )
        if before or after:
            x = lax.concatenate([*before, x, *after], axis)
    return x


def join_activations(model: Any) -> None:
    """Makes one node of those that are a rectifier, a leaky one, or one with learned slopes.

    What nothing needs then is left out, numbers too.

    Args:
      model: an `onnx.ModelProto`, which is changed.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    given = [value.name for value in graph.output]
    uses = Counter([*given, *(name for node in graph.node for name in _names(node))])
    makers = {name: node for node in graph.node for name in node.output}
    nodes, needed = [], set(given)
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        if found := _find_rectifier(node, makers, numbers, uses):
            x, slope = found
            if slope is None:
                node = helper.make_node('Relu', [x], node.output)
            elif numbers[slope].size == 1:
                alpha = float(numbers[slope].item())
                node = helper.make_node('LeakyRelu', [x], node.output, alpha=alpha)
            else:
                node = helper.make_node('PRelu', [x, slope], node.output)
        nodes.append(node)
        needed.update(_names(node))
    used = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, kept in ((graph.node, nodes[::-1]), (graph.initializer, used)):
        del field[:]
        field.extend(kept)


def _names(node: Any) -> Iterator[str]:
    """All values that a node reads, also in the graphs of a loop's body."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from _names(inner)


def _find_rectifier(
    node: Any, makers: dict[str, Any], numbers: dict[str, np.ndarray], uses: Counter
) -> tuple[str, str | None] | None:
    """What is rectified and the slope below 0 (None: 0), if a node is the last of a rectifier."""
    if node.op_type == 'Max' and len(node.input) == 2:
        return next(
            ((x, None) for x, zero in _both_ways(node) if _is_zero(numbers.get(zero))), None
        )
    if node.op_type != 'Where':
        return None
    condition, x, other = node.input
    compared, product = makers.get(condition), makers.get(other)
    if not (compared and product and uses[condition] == uses[other] == 1):
        return None
    if compared.op_type not in ('GreaterOrEqual', 'Greater') or product.op_type != 'Mul':
        return None
    if compared.input[0] != x or not _is_zero(numbers.get(compared.input[1])):
        return None
    slopes = (slope for multiplied, slope in _both_ways(product) if multiplied == x)
    return next(((x, slope) for slope in slopes if slope in numbers), None)


def _both_ways(node: Any) -> Iterator[tuple[str, str]]:
    first, second = node.input
    yield first, second
    yield second, first


def _is_zero(number: np.ndarray | None) -> bool:
    return number is not None and number.dtype.kind == 'f' and number.size == 1 and not number.any()
