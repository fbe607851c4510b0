"""Programs are for images of some sides."""

import numpy as np
import pytest
from onnx_programs import program

from sr_jax.inference.onnx_program.limits import limit_sides


def test_a_program_refuses_other_sides():
    onnx = pytest.importorskip('onnx')
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    nodes = [('Relu', ['x'], 'h'), ('Add', ['h', 'x'], 'y')]
    model = program(onnx, nodes, shapes={name: ['n', 2, 'h', 'w'] for name in 'xy'})
    limit_sides(model, 4, 9)
    onnx.checker.check_model(model, full_check=True)
    rng = np.random.default_rng(0)
    for height, width in ((4, 9), (7, 5)):
        x = rng.standard_normal((3, 2, height, width), np.float32)
        (made,) = evaluator(model).run(None, {'x': x})
        np.testing.assert_array_equal(made, np.maximum(x, 0) + x)
    for height, width in ((3, 9), (4, 10), (6, 2), (11, 5)):
        with pytest.raises(ValueError, match='negative'):
            evaluator(model).run(None, {'x': np.zeros((1, 2, height, width), np.float32)})
