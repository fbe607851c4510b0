"""The shallow network of switched convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.switching import Switching, check_layers, choices, convert_to_switched
from sr_jax.models.switched_sr import LAYERS, SwitchedSR

SMALL = Switching(LAYERS, breadth=4, network='standard')
X = jnp.asarray(np.random.default_rng(1).random((2, 5, 4, 3), np.float32))


@pytest.fixture(scope='module')
def run():
    """The image, what a training call wrote, and gradients; of a network with new weights."""
    model = SwitchedSR(scale=2, features=8, switching=SMALL)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), X)
    collections = {'switch_norm': variables['switch_norm']}

    @jax.jit
    def grad(params):
        def loss(params):
            image, mutated = model.apply(
                {'params': params, **collections},
                X,
                train=True,
                mutable=['switch_norm', 'intermediates'],
            )
            return jnp.sum(jnp.sin(image)), (image, mutated)

        return jax.grad(loss, has_aux=True)(params)

    return variables['params'], *grad(variables['params'])


def test_five_layers_choose_among_kernels(run):
    params, _, (image, mutated) = run
    assert image.shape == (2, 10, 8, 3) and image.dtype == jnp.float32
    check_layers(params, SMALL)
    assert tuple(choice.layer for choice in choices(mutated['intermediates'])) == LAYERS
    chosen = np.concatenate([c.choice.reshape(-1) for c in choices(mutated['intermediates'])])
    assert len(np.unique(chosen)) > 1


def test_every_parameter_of_every_layer_learns(run):
    _, gradients, _ = run
    flat = traverse_util.flatten_dict(gradients, sep='/')
    for name, value in flat.items():
        assert jnp.abs(value).max() > 0, name


def test_without_switched_layers_it_is_the_dense_network_to_begin_with():
    dense = SwitchedSR(scale=2, features=8, switching=Switching())
    variables = jax.jit(draw_in_loops(dense.init))(jax.random.key(0), X)
    assert set(variables) == {'params'}
    switched = convert_to_switched(variables, SMALL, jax.random.key(2))
    model = SwitchedSR(scale=2, features=8, switching=SMALL)
    run = jax.jit(lambda v: model.apply(v, X, train=True, mutable=['switch_norm'])[0])
    expected = jax.jit(dense.apply)(variables, X)
    np.testing.assert_allclose(run(switched), expected, rtol=1e-4, atol=1e-5)


def test_the_default_is_five_layers_of_breadth_eight():
    shapes = jax.eval_shape(SwitchedSR().init, jax.random.key(0), X)['params']
    kernels = [shapes[f'layer_{i}']['conv']['kernel'].shape for i in range(5)]
    assert kernels == [(8, 3, 3, 64, 64)] * 5
