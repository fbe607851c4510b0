"""Programs that refuse images of other sides than they are for."""

from typing import Any

import numpy as np

from sr_jax.inference.onnx_program.parts import names


def limit_sides(model: Any, least: int, most: int) -> None:
    """Makes a program fail for images of other sides, by an operation whose name says which.

    ONNX cannot say it of an input: what is given has a negative number of elements then.

    Args:
      model: an `onnx.ModelProto` of one input, [n, channels, height, width], which is changed.
      least: length of a side.
      most: length of a side.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    (x,) = (value.name for value in graph.input)
    of = [f'{x}_{name}' for name in ('sides', 'above', 'below', 'margins', 'over', 'none', 'count')]
    sides, above, below, margins, over, none, count = of
    nodes = [
        helper.make_node('Shape', [x], [sides], start=2, end=4),
        helper.make_node('Sub', [sides, f'{x}_least'], [above]),
        helper.make_node('Sub', [f'{x}_most', sides], [below]),
        helper.make_node('Concat', [above, below], [margins], axis=0),
        helper.make_node('Min', [margins, f'{x}_zero'], [over]),
        helper.make_node(
            'ConstantOfShape', [over], [none], f'takes_sides_of_{least}_to_{most}_pixels'
        ),
        helper.make_node('ReduceSum', [none], [count], keepdims=0),
        helper.make_node('Add', [x, count], [f'{x}_taken']),
    ]
    for node in graph.node:
        if x in names(node):
            node.input[:] = [f'{x}_taken' if name == x else name for name in node.input]
    for name, value in (('least', least), ('most', most), ('zero', 0)):
        number = numpy_helper.from_array(np.array([value], np.int64), f'{x}_{name}')
        graph.initializer.append(number)
    rest = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(rest)
