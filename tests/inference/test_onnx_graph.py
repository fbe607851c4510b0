import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from sr_jax.inference.onnx_graph import evaluate, join_activations
from sr_jax.layers.convolution import convolve

WEIGHTS = np.random.default_rng(0).random((3, 3, 5, 7), np.float32)


def written_out(apply, x):
    jaxpr = jax.make_jaxpr(apply)(x)
    return jax.make_jaxpr(lambda x: evaluate(jaxpr.jaxpr, jaxpr.consts, x)[0])(x)


def test_what_depends_on_weights_alone_is_computed_before():
    def apply(x):
        kernel = jnp.einsum('klio,op->klip', WEIGHTS, WEIGHTS[0, 0].T).at[1, 1].add(2.0)
        return nn.relu(convolve(x, jnp.pad(kernel, ((0, 0), (0, 0), (0, 0), (0, 1)))))

    x = jnp.ones((1, 9, 8, 5))
    made = written_out(apply, x)
    names = [equation.primitive.name for equation in made.eqns]
    assert names == ['conv_general_dilated', 'max'], made
    np.testing.assert_allclose(jax.core.eval_jaxpr(made.jaxpr, made.consts, x)[0], apply(x), 1e-5)


def test_what_would_be_large_is_left_to_the_program():
    x = jnp.ones((999, 7))
    made = written_out(lambda x: x + jnp.broadcast_to(WEIGHTS[0, 0, 0], x.shape), x)
    assert [equation.primitive.name for equation in made.eqns] == ['broadcast_in_dim', 'add']


@pytest.fixture
def onnx():
    return pytest.importorskip('onnx')


def program(onnx, nodes, kind=np.float32, **numbers):
    helper, shape = onnx.helper, ['n', 'c']
    value, of = helper.make_tensor_value_info, helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    graph = helper.make_graph(
        [helper.make_node(name, given, [made]) for name, given, made in nodes],
        'graph',
        [value('x', of, shape)],
        [value('y', of, shape)],
        [onnx.numpy_helper.from_array(np.asarray(v, kind), name) for name, v in numbers.items()],
    )
    return helper.make_model(graph)


SLOPED = [
    ('GreaterOrEqual', ['x', 'zero'], 'positive'),
    ('Mul', ['slope', 'x'], 'scaled'),
    ('Where', ['positive', 'x', 'scaled'], 'y'),
]
SEPARATE = ['GreaterOrEqual', 'Mul', 'Where']


@pytest.mark.parametrize(
    ('nodes', 'numbers', 'kinds', 'left'),
    [
        (SLOPED, {'zero': 0, 'slope': [0.1, 0.3]}, ['PRelu'], ['slope']),
        (SLOPED, {'zero': 0, 'slope': 0.2}, ['LeakyRelu'], []),
        (SLOPED, {'zero': 0.5, 'slope': 0.2}, SEPARATE, ['zero', 'slope']),
        ([('Max', ['zero', 'x'], 'y')], {'zero': 0, 'unused': 3}, ['Relu'], []),
        ([('Max', ['x', 'zero'], 'y')], {'zero': [0, 1]}, ['Max'], ['zero']),
        (
            [*SLOPED[:2], (*SLOPED[2][:2], 'h'), ('Add', ['h', 'scaled'], 'y')],
            {'zero': 0, 'slope': 0.2},
            [*SEPARATE, 'Add'],
            ['zero', 'slope'],
        ),
    ],
)
def test_activations_are_one_node(nodes, numbers, kinds, left, onnx):
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    model = program(onnx, nodes, **numbers)
    x = np.float32([[-2, 3], [0.25, -1.5], [0, -0.1]])
    expected = evaluator(model).run(None, {'x': x})[0]
    join_activations(model)
    assert [node.op_type for node in model.graph.node] == kinds
    assert [tensor.name for tensor in model.graph.initializer] == left
    np.testing.assert_allclose(evaluator(model).run(None, {'x': x})[0], expected, 1e-6)


def test_largest_sides_are_no_activation(onnx):
    model = program(onnx, [('Max', ['x', 'zero'], 'y')], np.int64, zero=0)
    join_activations(model)
    assert [node.op_type for node in model.graph.node] == ['Max']
