"""Single nodes in place of several: a rule takes a node and gives what is to stand there, or None.

The rules compare the shapes that a program states, but not those that it calls dynamic.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sr_jax.inference.onnx_program.parts import Parts


def _order(node: Any) -> list[int]:
    """The axes of a Transpose."""
    return next(list(each.ints) for each in node.attribute if each.name == 'perm')


def move_numbers(node: Any, parts: Parts) -> list[Any] | None:
    """Numbers that are moved: the numbers as they are then."""
    if node.op_type != 'Transpose' or node.input[0] not in parts.numbers:
        return None
    parts.add(node.output[0], parts.numbers[node.input[0]].transpose(_order(node)))
    return []


def fold_in_convolution(node: Any, parts: Parts) -> list[Any] | None:
    """Conv, perhaps Transpose, then Add, Sub or Mul of numbers: weights and bias are others then.

    Numbers are one for each channel, or one in all that is multiplied.
    """
    from onnx import helper

    if node.op_type not in ('Add', 'Sub', 'Mul'):
        return None
    for x, conv, moved, numbers in _convolutions(node, parts):
        weights = [parts.numbers.get(name) for name in conv.input[1:]]
        is_product = node.op_type == 'Mul'
        # What is added needs no known weights, only a known bias, if there is one.
        if any(each is None for each in (weights if is_product else weights[1:])):
            continue
        kernel = weights[0]
        channels = parts.shape(conv.output[0])[1:2] if kernel is None else [len(kernel)]
        axis = _order(moved).index(1) if moved else 1
        wide = [1] * len(parts.shape(x))
        wide[axis : axis + 1] = channels
        by_channel = [numbers.size] == channels
        by_channel &= list(numbers.shape) == wide[len(wide) - numbers.ndim :]
        by_one = is_product and numbers.size == 1 and numbers.ndim <= len(wide)
        if not (by_channel or by_one):
            continue
        (out,), given = node.output, [*conv.input]
        changed = numbers.reshape(-1)
        if is_product:
            given[1] = parts.add(f'{out}_kernel', weights[0] * changed.reshape(-1, 1, 1, 1))
            if weights[1:]:
                given[2] = parts.add(f'{out}_bias', weights[1] * changed)
        else:
            bias = -changed if node.op_type == 'Sub' else changed
            given[2:] = [parts.add(f'{out}_bias', weights[1] + bias if weights[1:] else bias)]
        folded = helper.make_node('Conv', given, [f'{out}_conv'])
        folded.attribute.extend(conv.attribute)
        return _moved_alike(folded, moved, out)
    return None


def _convolutions(node: Any, parts: Parts) -> Iterator[tuple[str, Any, Any, np.ndarray]]:
    """Of a node of two inputs: one that a convolution makes, that, what moved its axes since, if
    anything did, and the other one, which is of numbers, the second one of a Sub."""
    for x, other in both_ways(node):
        if node.op_type == 'Sub' and x != node.input[0]:
            continue
        moved = parts.maker(x, 'Transpose')
        conv = parts.maker(moved.input[0] if moved else x, 'Conv')
        if conv is not None and other in parts.numbers:
            yield x, conv, moved, parts.numbers[other]


def _moved_alike(conv: Any, moved: Any, out: str) -> list[Any]:
    """A convolution, and what moves its axes as that of another was moved, if it was."""
    from onnx import helper

    if not moved:
        conv.output[:] = [out]
        return [conv]
    return [conv, helper.make_node('Transpose', conv.output, [out], perm=_order(moved))]


def rectify(node: Any, parts: Parts) -> list[Any] | None:
    """A rectifier, a leaky one, or one with learned slopes."""
    from onnx import helper

    found = _find_rectifier(node, parts)
    if not found:
        return None
    x, slope = found
    if slope is None:
        return [helper.make_node('Relu', [x], node.output)]
    if parts.numbers[slope].size == 1:
        alpha = float(parts.numbers[slope].item())
        return [helper.make_node('LeakyRelu', [x], node.output, alpha=alpha)]
    return [helper.make_node('PRelu', [x, slope], node.output)]


def shuffle_pixels(node: Any, parts: Parts) -> list[Any] | None:
    """Reshape, Transpose, Reshape of a pixel shuffle: DepthToSpace."""
    from onnx import helper

    moved = node.op_type == 'Reshape' and parts.maker(node.input[0], 'Transpose', once=False)
    split = moved and parts.maker(moved.input[0], 'Reshape', once=False)
    if not split or _order(moved) != [0, 1, 4, 2, 5, 3]:
        return None
    x, (out,) = split.input[0], node.output
    given, apart, made = (parts.shape(name) for name in (x, split.output[0], out))
    if not (len(given) == len(made) == 4 and len(apart) == 6):
        return None
    channels, factor, again = apart[3:]
    if not all(isinstance(number, int) for number in (given[3], channels, factor)):
        return None
    stated = [given[0], *(_times(side, factor) for side in given[1:3]), channels]
    if apart[:3] != given[:3] or factor != again or given[3] != channels * factor**2:
        return None
    if not may_be(made, stated):
        return None
    return [
        helper.make_node('Transpose', [x], [f'{out}_deep'], perm=[0, 3, 1, 2]),
        helper.make_node(
            'DepthToSpace', [f'{out}_deep'], [f'{out}_wide'], blocksize=factor, mode='CRD'
        ),
        helper.make_node('Transpose', [f'{out}_wide'], [out], perm=[0, 2, 3, 1]),
    ]


def repeat_pixels(node: Any, parts: Parts) -> list[Any] | None:
    """Reshape, Expand, Reshape that repeat what lies along an axis: Resize."""
    expand = node.op_type == 'Reshape' and parts.maker(node.input[0], 'Expand', once=False)
    split = expand and parts.maker(expand.input[0], 'Reshape', once=False)
    if not split:
        return None
    x, (out,) = split.input[0], node.output
    given, apart, wide, made = (
        parts.shape(name) for name in (x, split.output[0], expand.output[0], out)
    )
    for axis in range(len(given)):
        stated = [*given[: axis + 1], 1, *given[axis + 1 :]]
        if not may_be(apart, stated) or apart[axis + 1] != 1:
            continue
        factor = wide[axis + 1]
        if not isinstance(factor, int) or wide != [*apart[: axis + 1], factor, *apart[axis + 2 :]]:
            continue
        joint = [*given[:axis], _times(given[axis], factor), *given[axis + 1 :]]
        if factor > 1 and may_be(made, joint):
            scales = [1.0] * len(given)
            scales[axis] = float(factor)
            return [_resize(x, out, scales, parts)]
    return None


def repeat_both_ways(node: Any, parts: Parts) -> list[Any] | None:
    """Two of what `repeat_pixels` makes: one."""
    before = _is_repetition(node) and parts.maker(node.input[0], 'Resize')
    if not before or not _is_repetition(before):
        return None
    scales = parts.numbers[before.input[2]] * parts.numbers[node.input[2]]
    return [_resize(before.input[0], node.output[0], scales, parts)]


def _resize(x: str, out: str, scales: Sequence[float], parts: Parts) -> Any:
    from onnx import helper

    return helper.make_node(
        'Resize',
        [x, '', parts.add(f'{out}_scales', np.asarray(scales, np.float32))],
        [out],
        mode='nearest',
        nearest_mode='floor',
        coordinate_transformation_mode='asymmetric',
    )


def _is_repetition(node: Any) -> bool:
    """Whether `_resize` made a node."""
    return node.op_type == 'Resize' and [*node.input[2:3]] == [f'{node.output[0]}_scales']


def state_shape(node: Any, parts: Parts) -> list[Any] | None:
    """Shape of what is only moved: of what it was before, so that it need not be moved for that."""
    from onnx import helper

    if node.op_type != 'Shape':
        return None
    limits = {attribute.name: attribute.i for attribute in node.attribute}
    (x,), (out,) = node.input, node.output
    rank = len(parts.shape(x))
    axes = list(range(rank))[limits.get('start', 0) : limits.get('end', rank)]
    moved = parts.maker(x, 'Transpose', once=False)
    if not axes or moved is None:
        return None
    while moved is not None:
        order = _order(moved)
        axes, x = [order[axis] for axis in axes], moved.input[0]
        moved = parts.maker(x, 'Transpose', once=False)
    split = parts.maker(x, 'Reshape', once=False)
    sides = parts.maker(split.input[1], 'Concat', once=False) if split else None
    known = [] if sides is None else [parts.numbers.get(name) for name in sides.input]
    made = []
    if split and sides and all(each is None or (each > 0).all() for each in known):
        shape = split.input[1]
    else:
        shape = f'{out}_all'
        made = [helper.make_node('Shape', [x], [shape])]
    picked = parts.add(f'{out}_axes', np.asarray(axes, np.int64))
    return [*made, helper.make_node('Gather', [shape, picked], [out], axis=0)]


def _times(side: Any, factor: int) -> Any:
    return side * factor if isinstance(side, int) else None


def may_be(shape: Sequence[Any], stated: Sequence[Any]) -> bool:
    """Whether two shapes may be the same, as far as they are known; None is a side that is not."""
    return len(shape) == len(stated) and all(
        a == b or None in (a, b) or any('dynamic' in str(side) for side in (a, b))
        for a, b in zip(shape, stated, strict=True)
    )


def _find_rectifier(node: Any, parts: Parts) -> tuple[str, str | None] | None:
    """What is rectified and the slope below 0 (None: 0), if a node is the last of a rectifier."""
    makers, numbers, uses = parts.makers, parts.numbers, parts.uses
    if node.op_type == 'Max' and len(node.input) == 2:
        return next(
            ((x, None) for x, zero in both_ways(node) if _is_zero(numbers.get(zero))), None
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
    slopes = (slope for multiplied, slope in both_ways(product) if multiplied == x)
    return next(((x, slope) for slope in slopes if slope in numbers), None)


def both_ways(node: Any) -> Iterator[tuple[str, str]]:
    """The two inputs of a node in both orders."""
    first, second = node.input
    yield first, second
    yield second, first


def _is_zero(number: np.ndarray | None) -> bool:
    return number is not None and number.dtype.kind == 'f' and number.size == 1 and not number.any()
