"""Networks are written piece by piece, and what is computed twice of the same is written once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from onnx_programs import program

from sr_jax.inference.onnx_program.jaxpr import evaluate
from sr_jax.inference.onnx_program.pieces import cut, gives_all, put_together

X = np.random.default_rng(5).standard_normal((2, 6), np.float32)


def written_out(apply):
    traced = jax.make_jaxpr(apply)(X)
    return jax.make_jaxpr(lambda x: evaluate(traced.jaxpr, traced.consts, x)[0])(X)


def operations(apply):
    return [equation.primitive.name for equation in written_out(apply).eqns]


def test_what_is_computed_twice_is_written_once():
    @jax.jit
    def mask(x):
        return jnp.sin(x) * jnp.float32([[1, 2, 3, 4, 5, 6]])

    def apply(x):
        return (x + mask(x)) * mask(x)

    assert operations(apply) == ['sin', 'mul', 'add', 'mul']
    made = written_out(apply)
    np.testing.assert_array_equal(jax.core.eval_jaxpr(made.jaxpr, made.consts, X)[0], apply(X))


@pytest.mark.parametrize(
    'apply',
    [
        lambda x: lax.slice(x, (0, 0), (1, 6)) - lax.slice(x, (1, 0), (2, 6)),
        lambda x: x * np.full((2, 6), 2, np.float32) + x * np.full((2, 6), 3, np.float32),
        lambda x: x * np.full((2, 6), 2, np.float32) + x * np.full((1, 6), 2, np.float32),
    ],
)
def test_what_differs_in_anything_is_not_the_same(apply):
    made = written_out(apply)
    names = [equation.primitive.name for equation in made.eqns]
    assert names.count('slice') == 2 or names.count('mul') == 2
    np.testing.assert_allclose(jax.core.eval_jaxpr(made.jaxpr, made.consts, X)[0], apply(X), 1e-6)


def test_what_gives_what_it_is_given_is_left_out():
    def apply(x):
        same = lax.convert_element_type_p.bind(
            jnp.sin(x), new_dtype=jnp.dtype('float32'), weak_type=False, sharding=None
        )
        return lax.stop_gradient(jnp.copy(same)) * x.astype(jnp.int32)

    assert operations(apply) == ['sin', 'convert_element_type', 'convert_element_type', 'mul']


def chain(x):
    """Blocks of four equations, between which one array lives, and one that nothing needs."""
    jnp.exp(x)
    for i in range(9):
        x = x + jnp.sin(x) * jnp.cos(X * i + x)
    return x


def test_pieces_are_cut_where_one_array_lives():
    jaxpr = jax.make_jaxpr(chain)(X)
    pieces = cut(jaxpr.jaxpr, 3, 7)
    assert len(pieces) > 4 and max(len(piece.eqns) for piece in pieces) <= 7
    kept = [equation.primitive.name for piece in pieces for equation in piece.eqns]
    assert sorted(['exp', *kept]) == sorted(each.primitive.name for each in jaxpr.eqns)
    assert {len(piece.outvars) for piece in pieces} == {1}
    values = {jaxpr.jaxpr.invars[0]: X}
    for piece in pieces:
        made = evaluate(piece, jaxpr.consts, *(values[each] for each in piece.invars))
        values.update(zip(piece.outvars, made, strict=True))
    np.testing.assert_array_equal(values[jaxpr.jaxpr.outvars[0]], chain(X))


def test_what_lives_longer_is_given_to_all_that_need_it():
    def apply(x):
        first = jnp.sin(x)
        return jnp.cos(jnp.exp(jnp.tanh(jnp.abs(first)))) + first

    pieces = cut(jax.make_jaxpr(apply)(X).jaxpr, 1, 2)
    assert [len(piece.invars) for piece in pieces] == [1] * (len(pieces) - 1) + [2]
    assert pieces[0].outvars[0] in pieces[-1].invars


def test_one_program_is_made_of_several():
    onnx = pytest.importorskip('onnx')
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    shapes = {'x': ['n', 6], 'h': ['dynamic_0', 6], 'y': ['n', 6]}
    nodes = [('Add', ['x', 'number'], 'h'), ('Mul', ['h', 'h'], 'y')]
    programs = [program(onnx, nodes, shapes=shapes, number=number) for number in (2, 3, -1)]
    for i, each in enumerate(programs):
        each.graph.input[0].name = each.graph.node[0].input[0] = f'between_{i}'
        each.graph.output[0].name = each.graph.node[1].output[0] = f'between_{i + 1}'
        each.graph.node[0].name = 'addition'
    whole = put_together(programs)
    onnx.checker.check_model(whole, full_check=True)
    assert [value.name for value in whole.graph.input] == ['between_0']
    assert [value.name for value in whole.graph.output] == ['between_3']
    (found,) = evaluator(whole).run(None, {'between_0': X})
    np.testing.assert_allclose(found, (((X + 2) ** 2 + 3) ** 2 - 1) ** 2, 1e-5)
    names = [node.name for node in whole.graph.node]
    assert len(set(names[::2])) == 3
    sides = {value.type.tensor_type.shape.dim[0].dim_param for value in whole.graph.value_info}
    assert len([side for side in sides if 'dynamic' in side]) == 3


def test_numbers_and_bodies_of_loops_are_found_in_other_pieces():
    """A piece may give what is known, and what an If holds needs what is around it."""
    onnx = pytest.importorskip('onnx')
    evaluator = pytest.importorskip('onnx.reference').ReferenceEvaluator
    helper = onnx.helper
    first = program(onnx, [('Add', ['x', 'h'], 'y')], h=2)
    first.graph.output.append(helper.make_tensor_value_info('h', 1, []))
    inner = helper.make_graph(
        [helper.make_node('Mul', ['z', 'h'], ['product'])],
        'inner',
        [],
        [helper.make_tensor_value_info('product', 1, None)],
    )
    second = program(
        onnx,
        [
            ('Add', ['y', 'number'], 'z'),
            ('If', ['yes'], 'w', {'then_branch': inner, 'else_branch': inner}),
        ],
        shapes={'x': [], 'y': ['n', 'c']},
        number=3,
    )
    graph = second.graph
    graph.input[0].CopyFrom(first.graph.output[0])
    graph.output[0].CopyFrom(helper.make_tensor_value_info('w', 1, ['n', 'c']))
    graph.input.append(helper.make_tensor_value_info('h', 1, []))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), 'yes'))
    whole = put_together([first, second])
    onnx.checker.check_model(whole)
    (found,) = evaluator(whole).run(None, {'x': X})
    np.testing.assert_allclose(found, 2 * (X + 2 + 3), 1e-6)


def test_results_that_were_lost_are_missed():
    onnx = pytest.importorskip('onnx')
    model = program(onnx, [('Abs', ['x'], 'y')], h=2)
    assert gives_all(model)
    model.graph.output.append(onnx.helper.make_tensor_value_info('h', 1, []))
    assert gives_all(model)
    model.graph.node[0].output[0] = 'z'
    assert not gives_all(model)
