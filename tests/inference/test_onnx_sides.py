"""Lengths of open sides are looked up once, and the shapes that have them are not stated."""

import numpy as np
import pytest
from onnx_programs import program

from sr_jax.inference.onnx_program.graph import leave_out_unneeded
from sr_jax.inference.onnx_program.sides import forget_sides, share_sides

X = np.random.default_rng(6).standard_normal((2, 6), np.float32)


@pytest.fixture
def onnx():
    return pytest.importorskip('onnx')


def looking_up(onnx, side, place, limits=()):
    """A program that looks a length up in what it is given and in another value: how often it does
    when what is the same is shared, and what it gives."""
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    nodes = [
        ('Abs', ['x'], 'a'),
        ('Shape', ['x'], 'of_x'),
        ('Gather', ['of_x', 's_first'], 'n'),
        ('Shape', ['a'], 'of_a', dict(limits)),
        ('Gather', ['of_a', 's_place'], 'again'),
        ('Concat', ['n', 'again'], 'sides', {'axis': 0}),
        ('Cast', ['sides'], 'y', {'to': onnx.TensorProto.FLOAT}),
    ]
    shapes = {'x': ['n', 6], 'a': [side, 6], 'y': [2]}
    model = program(onnx, nodes, shapes=shapes, s_first=[0], s_place=place)
    expected = evaluator(model).run(None, {'x': X})[0]
    share_sides(model)
    leave_out_unneeded(model)
    onnx.checker.check_model(model)
    np.testing.assert_array_equal(evaluator(model).run(None, {'x': X})[0], expected)
    return [node.op_type for node in model.graph.node].count('Gather')


def test_sides_of_one_name_are_looked_up_once(onnx):
    assert looking_up(onnx, 'n', [0]) == 1
    assert looking_up(onnx, 'n', [-2]) == 1
    assert looking_up(onnx, 'n', [0], {'start': -2, 'end': -1}) == 1


def test_others_are_looked_up_where_they_are(onnx):
    assert looking_up(onnx, 'm', [0]) == 2
    assert looking_up(onnx, 'n', [1]) == 2  # a number
    assert looking_up(onnx, 'n', [0], {'start': 1}) == 2
    assert looking_up(onnx, 'dynamic_3', [0]) == 2


def test_open_sides_between_input_and_output_are_not_stated(onnx):
    nodes = [('Abs', ['x'], 'a'), ('Neg', ['a'], 'b'), ('Exp', ['b'], 'y')]
    model = program(onnx, nodes, shapes={'a': ['n', 6], 'b': [2, 6]})
    forget_sides(model)
    assert [value.name for value in model.graph.value_info] == ['b']
    onnx.checker.check_model(model, full_check=True)
