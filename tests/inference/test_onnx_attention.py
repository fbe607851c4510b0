"""What transformers are made of is few nodes of an ONNX program, which compute the same."""

import math

import numpy as np
import pytest
from onnx_programs import joined, program

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 5, 7, 6), np.float32)
KEPT = ['n', 'h', 'w', 1]
ONE = {'keepdims': 0}


@pytest.fixture
def onnx():
    return pytest.importorskip('onnx')


@pytest.mark.parametrize(
    ('equation', 'y', 'sides', 'kinds'),
    [
        ('abcd,de->abce', (6, 11), [2, 5, 7, 11], ['MatMul']),
        ('abcd,ed->abce', (11, 6), [2, 5, 7, 11], ['MatMul']),  # the matrix is turned before
        ('nhwc,nhcd->nhwd', (2, 5, 6, 3), [2, 5, 7, 3], ['MatMul']),
        ('nhwc,nhdc->nhwd', (2, 5, 3, 6), [2, 5, 7, 3], ['MatMul']),
        ('nhwc,nhwd->nhcd', (2, 5, 7, 3), [2, 5, 6, 3], ['MatMul', 'Transpose']),
        ('nqhc,nkhc->nhqk', (2, 3, 7, 6), [2, 7, 5, 3], ['Transpose', 'MatMul']),
        ('abcd,de->aebc', (6, 11), [2, 11, 5, 7], ['MatMul', 'Transpose']),
        # Two axes are summed, or none; an axis of one of both alone; a sum over one value.
        ('nhwc,wcd->nhd', (7, 6, 3), [2, 5, 3], ['Einsum']),
        ('nhwc,c->nhwc', (6,), [2, 5, 7, 6], ['Einsum']),
        ('nhwc,de->nhwd', (3, 4), [2, 5, 7, 3], ['Einsum']),
        ('nhwc,ncd->nhwd', (2, 6, 3), [2, 5, 7, 3], ['Einsum']),
    ],
)
def test_sums_of_products_are_products_of_matrices(equation, y, sides, kinds, onnx):
    nodes = [('Einsum', ['x', 'matrix'], 'y', {'equation': equation})]
    shapes = {'x': list(X.shape), 'y': sides}
    model = program(onnx, nodes, shapes=shapes, matrix=RNG.standard_normal(y, np.float32))
    assert joined(onnx, model, X) == kinds


def test_two_values_are_moved_as_little_as_can_be(onnx):
    nodes = [
        ('Einsum', ['x', 'x'], 'scores', {'equation': 'nqhc,nkhc->nhqk'}),
        ('Einsum', ['x', 'scores'], 'y', {'equation': 'nkhc,nhqk->nhcq'}),
    ]
    shapes = {'x': list(X.shape), 'scores': [2, 7, 5, 5], 'y': [2, 7, 6, 5]}
    kinds = joined(onnx, program(onnx, nodes, shapes=shapes), X)
    assert (kinds.count('MatMul'), kinds.count('Transpose')) == (2, 4)


def layer_norm(**changes):
    """Nodes of a layer norm, as jax2onnx writes Flax's, and shapes."""
    given = {'axes': 's_axes', 'squared': 'centered', 'count': 'count', **changes}
    nodes = [
        ('ReduceSum', ['x', given['axes']], 'sum', ONE),
        ('Div', ['sum', given['count']], 'mean'),
        ('Reshape', ['mean', 's_kept'], 'wide_mean'),
        ('Sub', ['x', 'wide_mean'], 'centered'),
        ('ReduceSumSquare', [given['squared'], given['axes']], 'squares', ONE),
        ('Div', ['squares', given['count']], 'variance'),
        ('Reshape', ['variance', 's_kept'], 'wide_variance'),
        ('Add', ['wide_variance', 'epsilon'], 'safe'),
        ('Sqrt', ['safe'], 'root'),
        ('Div', ['one', 'root'], 'inverse'),
        ('Mul', ['inverse', 'scale'], 'factor'),
        ('Mul', ['centered', 'factor'], 'product'),
        ('Add', ['product', 'bias'], 'y'),
    ]
    whole = list(X.shape)
    shapes = dict.fromkeys(('x', 'centered', 'factor', 'product', 'y'), whole)
    shapes |= {name: [*whole[:3], 1] for name in ('wide_mean', 'wide_variance', 'safe', 'inverse')}
    numbers = dict(s_axes=[3], s_first=[-2], s_kept=[2, 5, 7, 1], count=6.0, seven=7.0)
    numbers |= dict(epsilon=1e-5, one=1.0)
    arrays = RNG.standard_normal((2, 1, 1, 1, 6), np.float32)
    used = {name for _, given, *_ in nodes for name in given}
    numbers |= dict(scale=arrays[0], bias=arrays[1])
    return nodes, shapes, {name: value for name, value in numbers.items() if name in used}


def test_a_layer_norm_is_one_node(onnx):
    nodes, shapes, numbers = layer_norm()
    model = program(onnx, nodes, shapes=shapes, **numbers)
    assert joined(onnx, model, X) == ['LayerNormalization']


@pytest.mark.parametrize('changes', [{'squared': 'x'}, {'count': 'seven'}])
def test_what_is_not_quite_a_layer_norm_is_none(changes, onnx):
    nodes, shapes, numbers = layer_norm(**changes)
    model = program(onnx, nodes, shapes=shapes, **numbers)
    assert 'LayerNormalization' not in joined(onnx, model, X)


def softmax(*, axis=3, bounded=True, taken='x'):
    """Nodes of a softmax, as jax2onnx writes JAX's, and shapes."""
    whole = list(X.shape)
    kept = [1 if i == axis else side for i, side in enumerate(whole)]
    most = [('Max', ['least', 'largest'], 'bound')] if bounded else []
    nodes = [
        ('ReduceMax', ['x', 's_axis'], 'largest', ONE),
        *most,
        ('Reshape', ['bound' if bounded else 'largest', 's_kept'], 'wide'),
        ('Sub', [taken, 'wide'], 'difference'),
        ('Exp', ['difference'], 'exponential'),
        ('ReduceSum', ['exponential', 's_axis'], 'total', ONE),
        ('Reshape', ['total', 's_kept'], 'wide_total'),
        ('Div', ['exponential', 'wide_total'], 'y'),
    ]
    shapes = dict.fromkeys(('x', 'difference', 'exponential', 'y'), whole)
    shapes |= {'wide': kept, 'wide_total': kept}
    numbers = dict(s_axis=[axis], s_kept=kept) | (dict(least=-math.inf) if bounded else {})
    return nodes, shapes, numbers


@pytest.mark.parametrize('bounded', [True, False])
def test_a_softmax_is_one_node(bounded, onnx):
    nodes, shapes, numbers = softmax(bounded=bounded)
    assert joined(onnx, program(onnx, nodes, shapes=shapes, **numbers), X) == ['Softmax']


def test_a_softmax_over_another_axis_is_left(onnx):
    nodes, shapes, numbers = softmax(axis=2)
    assert 'Softmax' not in joined(onnx, program(onnx, nodes, shapes=shapes, **numbers), X)


def gelu(half=0.5, root=0.5**0.5):
    nodes = [
        ('Mul', ['half', 'x'], 'halved'),
        ('Neg', ['x'], 'negative'),
        ('Mul', ['negative', 'root'], 'divided'),
        ('Erf', ['divided'], 'erf'),
        ('Sub', ['one', 'erf'], 'erfc'),
        ('Mul', ['halved', 'erfc'], 'y'),
    ]
    return nodes, dict(half=half, root=root, one=1.0)


def test_a_gelu_is_written_as_pytorch_writes_it(onnx):
    nodes, numbers = gelu()
    shapes = {'x': list(X.shape), 'y': list(X.shape)}
    kinds = joined(onnx, program(onnx, nodes, shapes=shapes, **numbers), X)
    assert kinds == ['Div', 'Erf', 'Add', 'Mul', 'Mul']
    for changes in ({'half': 0.25}, {'root': 0.7}):
        nodes, numbers = gelu(**changes)
        kinds = joined(onnx, program(onnx, nodes, shapes=shapes, **numbers), X)
        assert 'Neg' in kinds


def test_biases_have_no_axes_of_one(onnx):
    bias = RNG.standard_normal((1, 1, 1, 6), np.float32)
    shapes = {'x': list(X.shape), 'y': list(X.shape)}
    model = program(onnx, [('Add', ['bias', 'x'], 'y')], shapes=shapes, bias=bias)
    assert joined(onnx, model, X) == ['Add']
    assert [list(each.dims) for each in model.graph.initializer] == [[6]]
    bias = bias.reshape(6, 1, 1)[:5]
    rows = program(onnx, [('Add', ['x', 'bias'], 'y')], shapes=shapes, bias=bias)
    joined(onnx, rows, X)
    assert [list(each.dims) for each in rows.graph.initializer] == [[5, 1, 1]]


def test_a_scale_comes_after_what_is_moved(onnx):
    moved = {'perm': [0, 2, 1, 3]}
    nodes = [('Mul', ['third', 'x'], 'scaled'), ('Transpose', ['scaled'], 'y', moved)]
    shapes = {'x': list(X.shape), 'scaled': list(X.shape), 'y': [2, 7, 5, 6]}
    assert joined(onnx, program(onnx, nodes, shapes=shapes, third=0.3), X) == ['Transpose', 'Mul']
    columns = program(onnx, nodes, shapes=shapes, third=RNG.standard_normal(6, np.float32))
    assert joined(onnx, columns, X) == ['Mul', 'Transpose']
