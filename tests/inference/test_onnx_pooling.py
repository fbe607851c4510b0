"""Pooling over pixels names the pixels' axes alone, and computes the same."""

import numpy as np
import pytest
from onnx_programs import program

from sr_jax.inference.onnx_program.graph import join

X = np.random.default_rng(5).standard_normal((2, 11, 13, 3), np.float32)
TURNED = ['Transpose', 'MaxPool', 'Transpose']
LEFT = ['Unsqueeze', 'Unsqueeze', 'MaxPool', 'Squeeze']


@pytest.fixture
def onnx():
    return pytest.importorskip('onnx')


def pool(kernel_shape, strides=(1,) * 4, dilations=(1,) * 4):
    """X pooled over all axes: ONNX's own evaluator does not move over four."""
    spans = [(taps - 1) * step + 1 for taps, step in zip(kernel_shape, dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(X, spans)
    windows = windows[tuple(slice(None, None, step) for step in (*strides, *dilations))]
    return windows.max((4, 5, 6, 7))


def pooling(onnx, fields, sides, **changes):
    """A program that pools over all axes, as jax2onnx writes it."""
    nodes = [
        ('Unsqueeze', ['x', 's_outer'], 'outer'),
        ('Unsqueeze', ['outer', 's_inner'], 'inner'),
        ('MaxPool', ['inner'], 'pooled', fields),
        ('Squeeze', ['pooled', 's_both'], 'y'),
    ]
    numbers = dict(s_outer=[0], s_inner=[1], s_both=[0, 1]) | changes
    return program(onnx, nodes, shapes={'x': list(X.shape), 'y': sides}, **numbers)


@pytest.mark.parametrize(
    ('kernel', 'fields', 'kinds'),
    [
        ([1, 4, 5, 1], {'strides': [1, 3, 2, 1]}, TURNED),
        ([1, 3, 4, 1], {'dilations': [1, 3, 2, 1]}, TURNED),
        ([1, 2, 1, 1], {'strides': [1, 1, 6, 1]}, TURNED),
        ([1, 1, 4, 2], {}, ['MaxPool']),
    ],
)
def test_pixels_are_pooled_over_their_axes(kernel, fields, kinds, onnx):
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    expected = pool(kernel, **fields)
    model = pooling(onnx, {'kernel_shape': kernel, **fields}, list(expected.shape))
    join(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == kinds
    np.testing.assert_array_equal(evaluator(model).run(None, {'x': X})[0], expected)


def test_pads_are_those_of_the_pixels(onnx):  # which ONNX's own evaluator reads otherwise
    fields = {'kernel_shape': [1, 4, 5, 1], 'pads': [0, 1, 2, 0, 0, 3, 0, 0]}
    model = pooling(onnx, fields, [2, 12, 11, 3])
    join(model)
    (pads,) = (list(each.ints) for each in model.graph.node[1].attribute if each.name == 'pads')
    assert pads == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ('fields', 'changes'),
    [
        ({'kernel_shape': [1, 4, 5, 2]}, {}),  # of three axes
        ({'kernel_shape': [1, 4, 1, 1]}, {}),
        ({'kernel_shape': [1, 4, 5, 1], 'ceil_mode': 1}, {}),
        ({'kernel_shape': [1, 4, 5, 1]}, {'s_outer': [2]}),
        ({'kernel_shape': [1, 4, 5, 1]}, {'s_both': [0, 2]}),
    ],
)
def test_what_is_pooled_otherwise_is_left(fields, changes, onnx):
    model = pooling(onnx, fields, [None] * 4, **changes)
    join(model)
    assert [node.op_type for node in model.graph.node] == LEFT
