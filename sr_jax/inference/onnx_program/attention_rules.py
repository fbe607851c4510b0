"""Rules, as in `rules`, for what transformers are made of: products, layer norms, softmax, GELU."""

import math
from typing import Any

import numpy as np

from sr_jax.inference.onnx_program.parts import Parts
from sr_jax.inference.onnx_program.rules import both_ways, may_be

VIEWS = ('Reshape', 'Expand', 'Identity')


def multiply_matrices(node: Any, parts: Parts) -> list[Any] | None:
    """Einsum of two values over one axis of both: MatMul, axes moved where they have to be."""
    if node.op_type != 'Einsum' or len(node.input) != 2:
        return None
    equation = node.attribute[0].s.decode().replace(' ', '')
    terms, _, out = equation.partition('->')
    first, _, second = terms.partition(',')
    if any(len(set(term)) != len(term) or '.' in term for term in (first, second, out)):
        return None
    ways = [
        _as_matrices((first, node.input[0]), (second, node.input[1]), out, parts),
        _as_matrices((second, node.input[1]), (first, node.input[0]), out, parts),
    ]
    found = [way for way in ways if way is not None]
    return _product(node, *min(found, key=lambda way: way[0])[1:], parts) if found else None


def _as_matrices(
    one: tuple[str, str], other: tuple[str, str], out: str, parts: Parts
) -> tuple[float, list[tuple[str, list[int]]], list[int]] | None:
    """How two values are moved to be multiplied as matrices, and the product then; None if they
    cannot be. First comes about what that costs: what is moved later may be moved anyway."""
    (a, x), (b, y) = one, other
    summed = [axis for axis in a if axis in b and axis not in out]
    batch = [axis for axis in out if axis in a and axis in b]
    rows = [axis for axis in out if axis in a and axis not in b]
    columns = [axis for axis in out if axis in b and axis not in a]
    whole = len(summed) == 1 and len(batch + rows) + 1 == len(a) and len(columns) == 1
    # Of one matrix for all, each axis of the other's is one of rows.
    if not whole or len(batch) + 2 != len(b) or (batch and len(rows) != 1):
        return None
    orders = (
        [a.index(axis) for axis in [*batch, *rows, *summed]],
        [b.index(axis) for axis in [*batch, *summed, *columns]],
    )
    made = [*batch, *rows, *columns]
    later = [made.index(axis) for axis in out]
    moved = [(x, orders[0]), (y, orders[1])]
    cost = 0.9 * (later != sorted(later))
    cost += sum(order != sorted(order) and name not in parts.numbers for name, order in moved)
    return cost, moved, later


def _product(
    node: Any, moved: list[tuple[str, list[int]]], later: list[int], parts: Parts
) -> list[Any]:
    from onnx import helper

    (out,) = node.output
    nodes, given = [], []
    for number, (name, order) in enumerate(moved):
        if order == sorted(order):
            given.append(name)
            continue
        given.append(f'{out}_matrix_{number}')
        if name in parts.numbers:
            parts.add(given[-1], parts.numbers[name].transpose(order))
        else:
            nodes.append(helper.make_node('Transpose', [name], [given[-1]], perm=order))
    if later == sorted(later):
        return [*nodes, helper.make_node('MatMul', given, [out])]
    nodes.append(helper.make_node('MatMul', given, [f'{out}_product']))
    return [*nodes, helper.make_node('Transpose', [f'{out}_product'], [out], perm=later)]


def scale_after_moving(node: Any, parts: Parts) -> list[Any] | None:
    """Mul by one number, then Transpose: the other way round, for MatMul multiplies too."""
    from onnx import helper

    product = parts.maker(node.input[0], 'Mul') if node.op_type == 'Transpose' else None
    for x, factor in both_ways(product) if product else ():
        number = parts.numbers.get(factor)
        if number is not None and number.size == 1 and number.ndim <= len(parts.shape(x)):
            (out,) = node.output
            moved = helper.make_node('Transpose', [x], [f'{out}_moved'])
            moved.attribute.extend(node.attribute)
            one = parts.add(f'{out}_factor', number.reshape(()))
            return [moved, helper.make_node('Mul', [f'{out}_moved', one], [out])]
    return None


def flatten_bias(node: Any, parts: Parts) -> list[Any] | None:
    """Add of numbers along the last axis: these alone, as onnxruntime looks for biases."""
    from onnx import helper

    if node.op_type != 'Add':
        return None
    for x, bias in both_ways(node):
        numbers = parts.numbers.get(bias)
        if numbers is None or not 1 < numbers.ndim <= len(parts.shape(x)):
            continue
        if [numbers.size] == parts.shape(x)[-1:] == [numbers.shape[-1]]:
            flat = parts.add(f'{node.output[0]}_bias', numbers.reshape(-1))
            return [helper.make_node('Add', [x, flat], node.output)]
    return None


def normalize_layer(node: Any, parts: Parts) -> list[Any] | None:
    """(x - mean) * (scale / sqrt(variance + epsilon)) + bias over the last axis."""
    from onnx import helper

    if node.op_type != 'Add':
        return None
    for name, bias in both_ways(node):
        product = parts.maker(name, 'Mul')
        for centered, factor in both_ways(product) if product else ():
            x = _minus_mean(centered, parts)
            scaled = parts.maker(factor, 'Mul') if x else None
            for inverse, scale in both_ways(scaled) if scaled else ():
                epsilon = _find_epsilon(inverse, x, parts)
                size = parts.shape(x)[-1:]
                of_last = all(_are_of_last_axis(each, size, parts) for each in (scale, bias))
                if epsilon is None or not of_last:
                    continue
                (out,) = node.output
                arrays = [
                    parts.add(f'{out}_{role}', parts.numbers[each].reshape(-1))
                    for role, each in (('scale', scale), ('bias', bias))
                ]
                return [
                    helper.make_node(
                        'LayerNormalization', [x, *arrays], [out], axis=-1, epsilon=epsilon
                    )
                ]
    return None


def _minus_mean(name: str, parts: Parts) -> Any:
    """The value whose mean over the last axis is subtracted from it, or None."""
    made = parts.maker(name, 'Sub', once=False)
    if made and _find_mean(made.input[1], 'ReduceSum', parts) == made.input[0]:
        return made.input[0]
    return None


def _find_mean(name: str, kind: str, parts: Parts) -> str | None:
    """What a value is the mean of over the last axis, itself or its squares, as `kind` says."""
    made = parts.maker(_see_through(name, parts), 'Div', once=False)
    total = made and parts.maker(_see_through(made.input[0], parts), kind, once=False)
    if not total or not _is_over_last(total, name, parts):
        return None
    x = str(total.input[0])
    count = parts.numbers.get(made.input[1])
    return x if count is not None and [*count.ravel()] == parts.shape(x)[-1:] else None


def _find_epsilon(name: str, x: str, parts: Parts) -> float | None:
    """Of 1 / sqrt(variance + epsilon): epsilon."""
    one = parts.maker(name, 'Div')
    root = one and parts.maker(one.input[1], 'Sqrt')
    if not root or not _is(parts.numbers.get(one.input[0]), 1.0):
        return None
    total = parts.maker(root.input[0], 'Add')
    for variance, epsilon in both_ways(total) if total else ():
        centered = _find_mean(variance, 'ReduceSumSquare', parts)
        number = parts.numbers.get(epsilon)
        if centered and _minus_mean(centered, parts) == x and number is not None:
            return float(number.item()) if number.size == 1 else None
    return None


def make_softmax(node: Any, parts: Parts) -> list[Any] | None:
    """exp(x - max) / sum over the last axis."""
    from onnx import helper

    if node.op_type != 'Div':
        return None
    exponentials = parts.maker(node.input[0], 'Exp', once=False)
    total = parts.maker(_see_through(node.input[1], parts), 'ReduceSum', once=False)
    difference = exponentials and parts.maker(exponentials.input[0], 'Sub')
    if not total or not difference or total.input[0] != node.input[0]:
        return None
    x, largest = difference.input[0], _see_through(difference.input[1], parts)
    bounded = parts.maker(largest, 'Max', once=False)
    for name, least in both_ways(bounded) if bounded else ():
        if _is(parts.numbers.get(least), -math.inf):
            largest = _see_through(name, parts)
    found = parts.maker(largest, 'ReduceMax', once=False)
    if not found or found.input[0] != x:
        return None
    views = ((found, difference.input[1]), (total, node.input[1]))
    if not all(_is_over_last(each, view, parts) for each, view in views):
        return None
    return [helper.make_node('Softmax', [x], node.output, axis=-1)]


def write_gelu(node: Any, parts: Parts) -> list[Any] | None:
    """x / 2 * (1 - erf(-x / sqrt(2))), as JAX writes GELU: x * (1 + erf(x / sqrt(2))) / 2."""
    if node.op_type != 'Mul':
        return None
    for half, other in both_ways(node):
        halved, rest = parts.maker(half, 'Mul'), parts.maker(other, 'Sub')
        erf = rest and parts.maker(rest.input[1], 'Erf')
        if not halved or not erf or not _is(parts.numbers.get(rest.input[0]), 1.0):
            continue
        for x, factor in both_ways(halved):
            if _is(parts.numbers.get(factor), 0.5) and _is_negative_root(erf.input[0], x, parts):
                return _gelu(x, node.output[0], parts)
    return None


def _gelu(x: str, out: str, parts: Parts) -> list[Any]:
    """As PyTorch writes it: onnxruntime joins that with a bias before, but not the node Gelu."""
    from onnx import helper

    root, one, half = (
        parts.add(f'{out}_{name}', np.float32(value))
        for name, value in (('root', math.sqrt(2)), ('one', 1.0), ('half', 0.5))
    )
    steps = [f'{out}_{name}' for name in ('divided', 'erf', 'added', 'product')]
    return [
        helper.make_node('Div', [x, root], [steps[0]]),
        helper.make_node('Erf', [steps[0]], [steps[1]]),
        helper.make_node('Add', [steps[1], one], [steps[2]]),
        helper.make_node('Mul', [x, steps[2]], [steps[3]]),
        helper.make_node('Mul', [steps[3], half], [out]),
    ]


def _is_negative_root(name: str, x: str, parts: Parts) -> bool:
    """Whether a value is -x / sqrt(2)."""
    product = parts.maker(name, 'Mul')
    for value, factor in both_ways(product) if product else ():
        negative = parts.maker(value, 'Neg')
        if negative and negative.input[0] == x:
            return _is(parts.numbers.get(factor), math.sqrt(0.5))
    return False


def _see_through(name: str, parts: Parts) -> str:
    """What a value is a view of, of which `_is_over_last` asks that it adds a side of 1."""
    node = parts.makers.get(name)
    while node is not None and node.op_type in VIEWS:
        name = node.input[0]
        node = parts.makers.get(name)
    return name


def _is_over_last(reduction: Any, view: str, parts: Parts) -> bool:
    """Whether a reduction goes over the last axis, which is 1 in a view of its result."""
    shape = parts.shape(reduction.input[0])
    axes = parts.numbers.get(reduction.input[1]) if len(reduction.input) == 2 else None
    if not shape or axes is None or [*axes.ravel()] not in ([len(shape) - 1], [-1]):
        return False
    return parts.shape(view)[-1:] == [1] and may_be(parts.shape(view), [*shape[:-1], 1])


def _are_of_last_axis(name: str, size: list[Any], parts: Parts) -> bool:
    numbers = parts.numbers.get(name)
    return numbers is not None and [numbers.size] == [*numbers.shape[-1:]] == size


def _is(number: np.ndarray | None, value: float) -> bool:
    """Whether a constant is that number, in its own precision."""
    if number is None or number.dtype.kind != 'f' or number.size != 1:
        return False
    return bool(number.ravel()[0] == number.dtype.type(value))
