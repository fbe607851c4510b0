import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from onnx_programs import joined, program

from sr_jax.inference.onnx_program.graph import join
from sr_jax.inference.onnx_program.jaxpr import evaluate
from sr_jax.layers.convolution import convolve

WEIGHTS = np.random.default_rng(0).random((3, 3, 5, 7), np.float32)


@pytest.fixture
def onnx():
    return pytest.importorskip('onnx')


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
    model = program(onnx, nodes, **numbers)
    assert joined(onnx, model, np.float32([[-2, 3], [0.25, -1.5], [0, -0.1]])) == kinds
    assert [tensor.name for tensor in model.graph.initializer] == left


def test_largest_sides_are_no_activation(onnx):
    model = program(onnx, [('Max', ['x', 'zero'], 'y')], np.int64, zero=0)
    join(model)
    assert [node.op_type for node in model.graph.node] == ['Max']


RNG = np.random.default_rng(1)
IMAGES = {'x': ['n', 5, 'h', 'w'], 'convolved': ['n', 7, 'h', 'w'], 'moved': ['n', 'h', 'w', 7]}
CONVOLVED = ('Conv', ['x', 'kernel'], 'convolved')
MOVED = ('Transpose', ['convolved'], 'moved', {'perm': [0, 2, 3, 1]})
KERNEL = RNG.standard_normal((7, 5, 2, 3), np.float32)
BIAS = RNG.standard_normal(7, np.float32)


@pytest.mark.parametrize(
    ('nodes', 'bias', 'kinds'),
    [
        ([CONVOLVED, MOVED, ('Add', ['moved', 'bias'], 'y')], BIAS, ['Conv', 'Transpose']),
        (
            [CONVOLVED, MOVED, ('Add', ['bias', 'moved'], 'y')],
            BIAS[None, None, None],
            ['Conv', 'Transpose'],
        ),
        ([CONVOLVED, ('Add', ['convolved', 'bias'], 'y')], BIAS[None, :, None, None], ['Conv']),
        # Not of channels, of one number, or where another node needs the convolution as it is.
        ([CONVOLVED, ('Add', ['convolved', 'bias'], 'y')], BIAS, ['Conv', 'Add']),
        ([CONVOLVED, ('Add', ['convolved', 'bias'], 'y')], BIAS[0], ['Conv', 'Add']),
        (
            [
                CONVOLVED,
                ('Add', ['convolved', 'bias'], 'added'),
                ('Mul', ['convolved', 'added'], 'y'),
            ],
            BIAS[None, :, None, None],
            ['Conv', 'Add', 'Mul'],
        ),
    ],
)
def test_a_convolution_adds_its_bias(nodes, bias, kinds, onnx):
    sides = ['n', None, None, None]
    model = program(onnx, nodes, shapes={**IMAGES, 'y': sides}, kernel=KERNEL, bias=bias)
    x = RNG.standard_normal((4, 5, 6, 9), np.float32)
    assert joined(onnx, model, x) == kinds


NORMED = [  # what a batch norm is in evaluation
    CONVOLVED,
    MOVED,
    ('Add', ['moved', 'bias'], 'added'),
    ('Sub', ['added', 'mean'], 'centered'),
    ('Mul', ['centered', 'scale'], 'scaled'),
    ('Add', ['scaled', 'bias'], 'y'),
]


@pytest.mark.parametrize(
    ('nodes', 'kinds'),
    [
        ([CONVOLVED, MOVED, ('Mul', ['fifth', 'moved'], 'y')], ['Conv', 'Transpose']),
        ([CONVOLVED, ('Mul', ['convolved', 'fifth'], 'y')], ['Conv']),
        (
            [
                CONVOLVED,
                MOVED,
                ('Add', ['moved', 'bias'], 'added'),
                ('Mul', ['added', 'fifth'], 'y'),
            ],
            ['Conv', 'Transpose'],
        ),
        ([CONVOLVED, MOVED, ('Mul', ['bias', 'moved'], 'y')], ['Conv', 'Transpose']),
        ([CONVOLVED, MOVED, ('Mul', ['lines', 'moved'], 'y')], ['Conv', 'Transpose', 'Mul']),
        (NORMED, ['Conv', 'Transpose']),
        ([CONVOLVED, MOVED, ('Sub', ['bias', 'moved'], 'y')], ['Conv', 'Transpose', 'Sub']),
    ],
)
def test_a_convolution_multiplies_its_weights(nodes, kinds, onnx):
    alike = dict.fromkeys(('added', 'centered', 'scaled'), IMAGES['moved'])
    shapes = {**IMAGES, **alike, 'y': ['n', None, None, None]}
    numbers = dict(kernel=KERNEL, bias=BIAS, fifth=0.2, mean=BIAS**2, scale=BIAS - 2)
    numbers['lines'] = RNG.standard_normal((7, 1), np.float32)  # of columns, as many as channels
    used = {name for _, given, *_ in nodes for name in given}
    numbers = {name: value for name, value in numbers.items() if name in used}
    model = program(onnx, nodes, shapes=shapes, **numbers)
    assert joined(onnx, model, RNG.standard_normal((4, 5, 6, 9), np.float32)) == kinds


def test_weights_are_moved_before(onnx):
    nodes = [
        ('Transpose', ['turned'], 'kernel', {'perm': [3, 2, 0, 1]}),
        ('Conv', ['x', 'kernel'], 'y'),
    ]
    turned = KERNEL.transpose(2, 3, 1, 0)
    model = program(onnx, nodes, shapes={**IMAGES, 'y': IMAGES['convolved']}, turned=turned)
    assert joined(onnx, model, RNG.standard_normal((4, 5, 6, 9), np.float32)) == ['Conv']


def shuffle(order=(0, 1, 4, 2, 5, 3), more=(), sides=(2, 12, 21, 5)):
    """Nodes and numbers of a pixel shuffle by 3 of [2, 4, 7, 45], as jax2onnx writes it."""
    nodes = [
        ('Reshape', ['x', 's_apart'], 'apart'),
        ('Transpose', ['apart'], 'together', {'perm': order}),
        *more,
        ('Reshape', ['together', 's_sides'], 'y'),
    ]
    apart = [2, 4, 7, 5, 3, 3]
    shapes = {
        'x': [2, 4, 7, 45],
        'apart': apart,
        'together': [apart[axis] for axis in order],
        'y': list(sides),
    }
    return nodes, shapes, {'s_apart': apart, 's_sides': sides}


def test_a_pixel_shuffle_is_one_node(onnx):
    nodes, shapes, numbers = shuffle()
    model = program(onnx, nodes, shapes=shapes, **numbers)
    x = RNG.standard_normal((2, 4, 7, 45), np.float32)
    assert joined(onnx, model, x) == ['Transpose', 'DepthToSpace', 'Transpose']


@pytest.mark.parametrize(
    'changes', [{'order': (0, 1, 5, 2, 4, 3)}, {'sides': (2, 4, 63, 5)}, {'sides': (2, 12, 7, 15)}]
)
def test_what_lays_channels_out_otherwise_is_none(changes, onnx):
    nodes, shapes, numbers = shuffle(**changes)
    model = program(onnx, nodes, shapes=shapes, **numbers)
    x = RNG.standard_normal((2, 4, 7, 45), np.float32)
    assert joined(onnx, model, x) == ['Reshape', 'Transpose', 'Reshape']


def repeat(factor, x, y, axis, sides):
    """Nodes, shapes and numbers that repeat along an axis, as jax2onnx writes it."""
    once = [*sides[: axis + 1], 1, *sides[axis + 1 :]]
    wide = [*sides[: axis + 1], factor, *sides[axis + 1 :]]
    made = [*sides[:axis], factor * sides[axis], *sides[axis + 1 :]]
    nodes = [
        ('Reshape', [x, f's_once_{y}'], f'once_{y}'),
        ('Expand', [f'once_{y}', f's_wide_{y}'], f'wide_{y}'),
        ('Reshape', [f'wide_{y}', f's_made_{y}'], y),
    ]
    shapes = {x: sides, f'once_{y}': once, f'wide_{y}': wide, y: made}
    return nodes, shapes, {f's_once_{y}': once, f's_wide_{y}': wide, f's_made_{y}': made}


def test_repeated_pixels_are_one_node(onnx):
    rows, shapes, numbers = repeat(2, 'x', 'rows', 1, [7, 4, 5, 6])
    columns, more_shapes, more = repeat(3, 'rows', 'y', 2, [7, 8, 5, 6])
    shapes, numbers = {**shapes, **more_shapes}, {**numbers, **more}
    model = program(onnx, [*rows, *columns], shapes=shapes, **numbers)
    assert joined(onnx, model, RNG.standard_normal((7, 4, 5, 6), np.float32)) == ['Resize']
    (scales,) = map(onnx.numpy_helper.to_array, model.graph.initializer)
    np.testing.assert_array_equal(scales, [1, 2, 3, 1])


def test_pixels_repeated_one_after_the_other_are_not(onnx):
    nodes, shapes, numbers = repeat(2, 'x', 'y', 1, [7, 4, 5, 6])
    shapes = {**shapes, 'wide_y': [7, 2, 4, 5, 6], 'once_y': [7, 1, 4, 5, 6]}
    numbers = {**numbers, 's_once_y': [7, 1, 4, 5, 6], 's_wide_y': [7, 2, 4, 5, 6]}
    model = program(onnx, nodes, shapes=shapes, **numbers)
    x = RNG.standard_normal((7, 4, 5, 6), np.float32)
    assert joined(onnx, model, x) == ['Reshape', 'Expand', 'Reshape']


@pytest.mark.parametrize('limits', [{}, {'start': 1, 'end': 3}, {'start': -2}])
def test_a_shape_is_known_without_what_is_moved(limits, onnx):
    nodes = [
        ('Transpose', ['x'], 'moved', {'perm': [0, 2, 3, 1]}),
        ('Transpose', ['moved'], 'again', {'perm': [3, 0, 1, 2]}),
        ('Shape', ['again'], 'shape', limits),
        ('Cast', ['shape'], 'y', {'to': onnx.TensorProto.FLOAT}),
    ]
    shapes = {'x': [2, 5, 3, 4], 'moved': [2, 3, 4, 5], 'again': [5, 2, 3, 4], 'y': [None]}
    model = program(onnx, nodes, shapes=shapes)
    names = joined(onnx, model, np.zeros((2, 5, 3, 4), np.float32))
    assert names == ['Shape', 'Gather', 'Cast']
