"""Programs of ONNX for tests, joined and compared by ONNX's own evaluator."""

import numpy as np
import pytest

from sr_jax.inference.onnx_program.graph import join


def program(onnx, nodes, kind=np.float32, shapes=None, **numbers):
    """A program of nodes (operation, inputs, output, attributes) from x to y.

    Args:
      shapes: of x, y and what lies between, where they are stated.
      numbers: constants by name, of the same type as x; those named s_... are shapes.
    """
    helper, shapes = onnx.helper, {'x': ['n', 'c'], 'y': ['n', 'c'], **(shapes or {})}
    of = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    values = {name: helper.make_tensor_value_info(name, of, each) for name, each in shapes.items()}
    made = [
        helper.make_node(operation, given, [output], **dict(*attributes))
        for operation, given, output, *attributes in nodes
    ]
    constants = [
        onnx.numpy_helper.from_array(
            np.asarray(value, np.int64 if name.startswith('s_') else kind), name
        )
        for name, value in numbers.items()
    ]
    graph = helper.make_graph(
        made,
        'graph',
        [values.pop('x')],
        [values.pop('y')],
        constants,
        value_info=list(values.values()),
    )
    return helper.make_model(graph)


def joined(onnx, model, x):
    """The names of a program's operations, once it is joined and found to compute the same."""
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    expected = evaluator(model).run(None, {'x': x})[0]
    join(model)
    onnx.checker.check_model(model, full_check=True)
    found = evaluator(model).run(None, {'x': x})[0]
    np.testing.assert_allclose(found, expected, 2e-6, 1e-6 * max(1, np.abs(expected).max()))
    return [node.op_type for node in model.graph.node]
