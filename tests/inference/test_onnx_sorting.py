"""Sorting along open sides, which jax2onnx is given as an operation of ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from sr_jax.inference.onnx_program import sorting
from sr_jax.inference.onnx_program.jaxpr import evaluate


def order(x):
    return jnp.argsort(x, axis=1, stable=True)


def written_out(apply, sides, kind=jnp.int32):
    given = jax.ShapeDtypeStruct(export.symbolic_shape(sides), kind)
    jaxpr = jax.make_jaxpr(apply)(given)
    return jax.make_jaxpr(lambda x: evaluate(jaxpr.jaxpr, jaxpr.consts, x)[0])(given)


@pytest.mark.parametrize(
    ('apply', 'sides', 'is_ours'),
    [
        (order, 'n, p, 3', True),
        (order, 'n, 5, 3', False),  # known
        (lambda x: lax.sort((x, x), num_keys=2)[1], 'n, p', False),
    ],
)
def test_only_open_sides_are_sorted_by_ours(apply, sides, is_ours):
    names = {equation.primitive.name for equation in written_out(apply, sides).eqns}
    assert names & {'sort', sorting.NAME} == {sorting.NAME if is_ours else 'sort'}


def test_it_sorts_as_jax_does():
    x = np.random.default_rng(0).integers(0, 4, (2, 7, 3))
    places = np.broadcast_to(np.arange(7)[:, None], x.shape)
    found = sorting.sort_p.bind(jnp.asarray(x), jnp.asarray(places), axis=1)
    np.testing.assert_array_equal(found[1], np.argsort(x, 1, stable=True))
    np.testing.assert_array_equal(found[0], np.sort(x, 1))


def test_onnxruntime_sorts_as_jax_does():
    jax2onnx = pytest.importorskip('jax2onnx')
    import onnxruntime

    jaxpr = written_out(lambda x: order(x).astype(jnp.float32), 'n, p, 3')
    sorting.teach()
    sorting.teach()  # told again, it knows
    described = jax.ShapeDtypeStruct(jaxpr.in_avals[0].shape, jnp.int32)
    program = jax2onnx.to_onnx(
        lambda x: jax.core.eval_jaxpr(jaxpr.jaxpr, jaxpr.consts, x)[0], [described]
    )
    session = onnxruntime.InferenceSession(program.SerializeToString())
    for shape in ((2, 7, 3), (1, 19, 3)):
        x = np.random.default_rng(0).integers(0, 4, shape, np.int32)  # many are equal
        (found,) = session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_array_equal(found, np.argsort(x, 1, stable=True))
