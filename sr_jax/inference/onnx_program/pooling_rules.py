"""A rule, as in `rules`, for pooling."""

from typing import Any

from sr_jax.inference.onnx_program.parts import Parts

# Of a MaxPool.
KERNEL, STRIDES, PADS = 'kernel_shape', 'strides', 'pads'


def pool_pixels(node: Any, parts: Parts) -> list[Any] | None:
    """MaxPool of a value as one channel of one image: over the axes alone that it makes shorter.

    onnxruntime pools over three axes at most, and jax2onnx names all.
    """
    from onnx import helper

    pool = parts.maker(node.input[0], 'MaxPool') if node.op_type == 'Squeeze' else None
    inner = parts.maker(pool.input[0], 'Unsqueeze') if pool else None
    outer = parts.maker(inner.input[0], 'Unsqueeze') if inner else None
    around = [(node, [0, 1]), (inner, [1]), (outer, [0])]
    if not (pool and outer) or any(_axes(each, parts) != axes for each, axes in around):
        return None
    given = {attribute.name: list(attribute.ints) for attribute in pool.attribute}
    if not set(given) <= {KERNEL, STRIDES, PADS, 'dilations'}:
        return None
    rank = len(given[KERNEL])
    given = {STRIDES: [1] * rank, PADS: [0] * 2 * rank} | given
    pads = given.pop(PADS)
    begin, end = pads[:rank], pads[rank:]
    sides = list(zip(given[KERNEL], given[STRIDES], begin, end, strict=True))
    pooled = [axis for axis in range(rank) if sides[axis] != (1, 1, 0, 0)]
    order = [axis for axis in range(rank) if axis not in pooled] + pooled
    if len(pooled) != rank - 2:
        return None
    fields: Any = {name: [each[axis] for axis in pooled] for name, each in given.items()}
    fields[PADS] = [half[axis] for half in (begin, end) for axis in pooled]
    (x, *_), (out,) = outer.input, node.output
    if order == sorted(order):
        return [helper.make_node('MaxPool', [x], [out], **fields)]
    back = [order.index(axis) for axis in range(rank)]
    return [
        helper.make_node('Transpose', [x], [f'{out}_moved'], perm=order),
        helper.make_node('MaxPool', [f'{out}_moved'], [f'{out}_pooled'], **fields),
        helper.make_node('Transpose', [f'{out}_pooled'], [out], perm=back),
    ]


def _axes(node: Any, parts: Parts) -> list[int] | None:
    """The axes that a node adds or takes away, where they are numbers."""
    axes = parts.numbers.get(node.input[1]) if node is not None and len(node.input) == 2 else None
    return None if axes is None else axes.ravel().tolist()
