import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sr_jax.devices import sharding
from sr_jax.optim.soap import scale_by_soap
from sr_jax.optim.update import accumulated_update


def follow(transformation, params, gradients):
    """The parameters after each update, and the last state."""
    state = jax.jit(transformation.init)(params)
    update, seen = jax.jit(transformation.update), []
    for gradient in gradients:
        updates, state = update(gradient, state)
        params = optax.apply_updates(params, updates)
        seen.append(params)
    return seen, state


def hwio(x):
    """Kernels of convolutions in our layout; their axes are the last four."""
    return np.moveaxis(x, (-4, -3), (-1, -2)) if x.shape[-4:] == (4, 3, 2, 5) else x


def test_updates_are_those_of_the_authors(golden):
    arrays = golden('optimizer_soap')
    given = json.loads(str(arrays['meta/json']))['hp']
    soap = scale_by_soap(
        *given['betas'],
        given['shampoo_beta'],
        given['eps'],
        given['precondition_frequency'],
        given['max_precond_dim'],
    )
    names = ('conv', 'dense', 'long', 'bias')
    params, gradients, expected = (
        {name: hwio(arrays[f'{key}/{name}']) for name in names} for key in ('param', 'in', 'out')
    )
    steps = [{name: g[step] for name, g in gradients.items()} for step in range(9)]
    seen, state = follow(optax.chain(soap, optax.scale(-given['lr'])), params, steps)
    assert state[0].statistics['conv'].keys() == {'0', '1', '2', '3'}
    assert state[0].statistics['dense'].keys() == {'1'}  # the other side has 11
    assert state[0].statistics['long'].keys() == {'0', '2'}
    assert not state[0].statistics['bias']
    for step, found in enumerate(seen):
        for name in names:
            moved = expected[name][step] - params[name]
            difference = np.abs(found[name] - params[name] - moved).max()
            assert difference <= 2e-5 * max(np.abs(moved).max(), 0.01), (step, name, difference)


def test_the_first_update_is_zero_and_only_begins_the_statistics():
    gradient = {'w': jnp.asarray(np.random.default_rng(0).standard_normal((3, 4)), jnp.float32)}
    (after,), state = follow(scale_by_soap(shampoo_beta=0.75), {'w': jnp.ones((3, 4))}, [gradient])
    np.testing.assert_array_equal(after['w'], 1)
    w = np.asarray(gradient['w'])
    np.testing.assert_allclose(state.statistics['w']['0'], 0.25 * w @ w.T, rtol=1e-5)
    np.testing.assert_allclose(state.statistics['w']['1'], 0.25 * w.T @ w, rtol=1e-5)
    basis = np.asarray(state.bases['w']['0'])
    values = np.diag(basis.T @ (0.25 * w @ w.T) @ basis)
    assert (np.diff(values) < 0).all()
    assert not state.mu['w'].any() and not state.nu['w'].any()


def test_without_statistics_it_is_adam_one_update_later():
    rng = np.random.default_rng(0)
    params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(4)}
    gradients = [
        jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape), p.dtype), params)
        for _ in range(5)
    ]
    found, _ = follow(scale_by_soap(0.8, 0.9, eps=0.0, max_precondition_dim=1), params, gradients)
    adam, _ = follow(optax.scale_by_adam(0.8, 0.9, eps=0.0), params, gradients[1:])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found[1:], adam)


def test_sides_of_one_and_gradients_of_zero_stay_finite():
    params = {'w': jnp.ones((1, 1, 2, 3))}
    seen, state = follow(
        scale_by_soap(precondition_frequency=2), params, [jax.tree.map(jnp.zeros_like, params)] * 5
    )
    np.testing.assert_array_equal(seen[-1]['w'], 1)
    assert state.statistics['w'].keys() == {'2', '3'}
    np.testing.assert_allclose(jnp.abs(state.bases['w']['3']), np.eye(3))


def test_half_precision_keeps_bases_in_float32():
    params = {'w': jnp.ones((3, 4), jnp.bfloat16)}
    gradients = [jax.tree.map(lambda p, s=s: s * p, params) for s in (0.5, -1.0, 0.25)]
    soap = scale_by_soap()
    updates, state = soap.update(gradients[0], soap.init(params))
    updates, state = soap.update(gradients[1], state)
    assert updates['w'].dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(state)} == {jnp.dtype('float32'), jnp.dtype('int32')}


def quadratic(params, batch, key):
    del key
    error = batch @ params['w'].reshape(batch.shape[-1], -1) - 1
    return jnp.mean(error**2), ({}, {}, error)


@pytest.mark.parametrize('accumulation', [1, 2])
def test_an_update_that_is_not_finite_leaves_all_state(accumulation):
    soap = optax.chain(scale_by_soap(precondition_frequency=2), optax.scale(-0.1))
    params = {'w': jnp.ones((3, 2))}
    state = soap.init(params)
    step = jax.jit(
        lambda params, state, batch: accumulated_update(
            quadratic, params, state, None, batch, jax.random.key(0),
            optimizer=soap, accumulation=accumulation, merge=lambda a, b: a,
        )
    )
    batch = jax.random.normal(jax.random.key(1), (4, 3))
    for _ in range(4):
        params, state, _, gradients = step(params, state, batch)
        assert gradients.applied
    after, kept, _, gradients = step(params, state, batch.at[3, 0].set(jnp.inf))
    assert not gradients.applied
    jax.tree.map(np.testing.assert_array_equal, (after, kept), (params, state))


def test_split_over_devices_it_is_the_same():
    rng = np.random.default_rng(0)
    params = {'w': jnp.asarray(rng.standard_normal((3, 40, 64), np.float32)), 'bias': jnp.zeros(3)}
    batches = rng.standard_normal((5, 72, 120), np.float32)  # gradients of full rank
    soap = optax.chain(scale_by_soap(precondition_frequency=2), optax.scale(-0.01))

    def step(tree, batch):
        params, state = tree
        return accumulated_update(
            quadratic, params, state, None, batch, jax.random.key(0),
            optimizer=soap, accumulation=1, merge=lambda a, b: a,
        )[:2]

    results = []
    for fsdp in (1, 8):
        mesh = sharding.make_mesh(fsdp=fsdp)
        tree = params, soap.init(params)
        places = sharding.layout(tree, mesh)
        jitted = jax.jit(
            step, in_shardings=(places, sharding.batch_sharding(mesh)), out_shardings=places
        )
        tree = jax.device_put(tree, places)
        for batch in batches:
            tree = jitted(tree, sharding.put_batch(batch, mesh))
        results.append(tree)
    (whole, _), (split, (state, _)) = results
    assert np.abs(whole['w'] - params['w']).max() > 0.01
    np.testing.assert_allclose(split['w'], whole['w'], atol=1e-4)
    basis = state.bases['w']['2']
    assert basis.shape == (64, 64)
    assert basis.addressable_shards[0].data.size == 64 * 8
