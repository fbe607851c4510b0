import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.dynamic_scale import DynamicScale

from sr_jax.config.defaults import defaults
from sr_jax.config.settings import OptimizerSettings
from sr_jax.errors import InputError
from sr_jax.layers.repeated import stack_loops, unstack_loops
from sr_jax.optim.optimizer import (
    ELEMENTWISE,
    SCALINGS,
    make_optimizer,
    make_schedule,
    schedule_free_average,
)
from sr_jax.optim.soap import scale_by_soap
from sr_jax.optim.update import accumulated_update, ema, split_microbatches, warm_decay
from sr_jax.tasks.step import read_training

PLAIN = OptimizerSettings(
    name='adam',
    learning_rate=0.1,
    schedule='constant',
    warmup_steps=0,
    milestones=(),
    decay_factor=0.5,
    b1=0.9,
    b2=0.99,
    eps=1e-8,
    weight_decay=0.0,
    clip_norm=0.0,
    ema_decay=0.0,
)


def settings(**changes):
    return dataclasses.replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, {0: 0.1, 50: 0.1, 100: 0.1}),
        ({'schedule': 'cosine'}, {0: 0.1, 50: 0.05, 100: 0.0}),
        ({'schedule': 'linear'}, {0: 0.1, 25: 0.075, 100: 0.0}),
        ({'schedule': 'polynomial'}, {0: 0.1, 50: 0.1 * 0.5**0.9, 100: 0.0}),
        ({'schedule': 'multistep', 'milestones': (20, 60)}, {19: 0.1, 20: 0.05, 60: 0.025}),
        (
            {'schedule': 'multistep', 'milestones': (20,), 'warmup_steps': 10},
            {0: 0.0, 5: 0.05, 10: 0.1, 19: 0.1, 20: 0.05},
        ),
        ({'schedule': 'cosine', 'warmup_steps': 20}, {10: 0.05, 20: 0.1, 60: 0.05, 100: 0.0}),
    ],
)
def test_schedules(changes, expected):
    schedule = make_schedule(settings(**changes), steps=100)
    for step, rate in expected.items():
        np.testing.assert_allclose(schedule(step), rate, atol=1e-7)


@pytest.mark.parametrize('section', ['optimizer', 'discriminator_optimizer'])
@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'name': 'adamm'}, ".name='adamm': did you mean 'adam'?"),
        ({'schedule': 'cos'}, ".schedule='cos': did you mean 'cosine'?"),
        ({'name': 'schedule_free', 'ema_decay': 0.9}, ": 'schedule_free' needs b1 above 0"),
        ({'b1': 1.0}, ': b1 must be in [0, 1)'),
        ({'clip_norm': -1.0}, ': clip_norm must not be negative'),
        ({'shampoo_beta': -1.0}, ': shampoo_beta must be in [0, 1)'),
        ({'precondition_frequency': 0}, ': precondition_frequency must be at least 1'),
        ({'milestones': (3, 2)}, ': milestones must be updates from 1 on, and rise'),
    ],
)
def test_bad_settings_are_named_with_their_section(section, changes, message):
    config = defaults('gan', model='srvgg', discriminator='discriminators')
    config[section].update(changes)
    with pytest.raises(InputError, match=re.escape(f'config.{section}{message}')):
        read_training(config, section)


def test_a_wrong_name_is_named_without_a_schedule_too():
    with pytest.raises(InputError, match='did you mean .adam.'):
        make_optimizer(settings(name='adamm'), lambda count: 0.1)


def run(params, gradients, **changes):
    chosen = settings(**changes)
    transformation = make_optimizer(chosen, make_schedule(chosen, 10))
    state = jax.jit(transformation.init)(params)
    update = jax.jit(transformation.update)
    for gradient in gradients:
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize('nesterov', [True, False])
def test_sgd_is_pytorchs(nesterov):
    gradients, weight, buffer = (0.3, -0.7, 2.0), 1.0, 0.0
    for gradient in gradients:  # torch.optim.SGD, by its documentation
        gradient += 0.1 * weight
        buffer = 0.8 * buffer + gradient
        weight -= 0.05 * (gradient + 0.8 * buffer if nesterov else buffer)
    changes = dict(name='sgd', learning_rate=0.05, b1=0.8, weight_decay=0.1, nesterov=nesterov)
    kernel, _ = run(jnp.ones((2, 3)), [jnp.full((2, 3), g) for g in gradients], **changes)
    np.testing.assert_allclose(kernel, weight, rtol=1e-6)


def test_lars_is_the_one_of_pixpros_authors():
    weight, bias, moments = np.ones((2, 3)), np.ones(3), [0.0, 0.0]
    gradients = (0.3, -0.7, 2.0)
    for gradient in gradients:  # zdaxie/PixPro, contrast/lars.py, around torch.optim.SGD
        kernel = gradient + 0.1 * weight
        kernel = kernel * 1e-3 * np.linalg.norm(weight) / (np.linalg.norm(kernel) + 1e-8)
        moments = [0.8 * moments[0] + kernel, 0.8 * moments[1] + gradient]
        weight, bias = weight - 4 * moments[0], bias - 4 * moments[1]
    changes = dict(name='lars', learning_rate=4.0, b1=0.8, weight_decay=0.1, nesterov=False)
    params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}
    found, _ = run(
        params, [jax.tree.map(lambda p, g=g: g * jnp.ones_like(p), params) for g in gradients],
        **changes,
    )
    np.testing.assert_allclose(found['kernel'], weight, rtol=1e-6)
    np.testing.assert_allclose(found['bias'], bias, rtol=1e-6)


def test_adam_is_optax_adam():
    params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}
    gradients = [jax.tree.map(lambda p, s=s: p * s, params) for s in (0.3, -0.7, 2.0)]
    ours, _ = run(params, gradients)
    reference = optax.adam(0.1, b1=0.9, b2=0.99)
    state = reference.init(params)
    for gradient in gradients:
        updates, state = reference.update(gradient, state)
        params = optax.apply_updates(params, updates)
    jax.tree.map(np.testing.assert_allclose, ours, params)


def test_adan_is_optax_adan():
    params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}
    gradients = [jax.tree.map(lambda p, s=s: p * s, params) for s in (0.3, -0.7, 2.0)]
    ours, _ = run(params, gradients, name='adan', b1=0.98, b2=0.92, b3=0.97)
    reference = optax.adan(0.1, b1=0.98, b2=0.92, b3=0.97)
    state = reference.init(params)
    for gradient in gradients:
        updates, state = reference.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, params)


def test_muon_moves_kernels_by_orthogonal_matrices_and_the_rest_as_adam():
    rng = np.random.default_rng(0)
    shapes = {'dense': (5, 7), 'conv': (3, 3, 2, 4), 'switched': (2, 3, 3, 1, 6), 'bias': (7,)}
    params = {name: jnp.zeros(shape) for name, shape in shapes.items()}
    gradient = {name: jnp.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()}
    found, _ = run(params, [gradient], name='muon')
    adam = optax.adam(0.1, b1=0.9, b2=0.99, nesterov=True)
    expected = adam.update(gradient, adam.init(params))[0]['bias']
    np.testing.assert_allclose(found['bias'], expected, rtol=1e-5)
    matrices = [found['dense'], found['conv'].reshape(-1, 4), *found['switched'].reshape(2, 9, 6)]
    for matrix in matrices:
        singular = np.linalg.svd(-matrix / 0.1, compute_uv=False)
        expected = 0.2 * np.sqrt(max(matrix.shape))
        assert (np.abs(singular / expected - 1) < 0.4).all(), singular / expected


def test_soap_takes_each_of_its_settings():
    rng = np.random.default_rng(0)
    params = {'kernel': jnp.ones((2, 3, 4)), 'bias': jnp.ones(5)}
    gradients = [
        jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape), p.dtype), params)
        for _ in range(6)
    ]
    given = dict(b1=0.7, b2=0.8, shampoo_beta=0.6, eps=1e-3, precondition_frequency=2)
    changes = dict(given, max_precondition_dim=3)
    ours, _ = run(params, gradients, name='soap', **changes)
    reference = scale_by_soap(**changes)
    update, state = jax.jit(reference.update), reference.init(params)
    for gradient in gradients:
        updates, state = update(gradient, state)
        params = jax.tree.map(lambda p, u: p - 0.1 * u, params, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), ours, params)


def test_schedule_free_is_optax_schedule_free():
    params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}
    gradients = [jax.tree.map(lambda p, s=s: p * s, params) for s in (0.3, -0.7, 2.0)]
    ours, state = run(params, gradients, name='schedule_free')
    reference = optax.contrib.schedule_free_adamw(0.1, b1=0.9, b2=0.99)
    theirs = reference.init(params)
    for gradient in gradients:
        updates, theirs = reference.update(gradient, theirs, params)
        params = optax.apply_updates(params, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, params)
    expected = optax.contrib.schedule_free_eval_params(theirs, params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
        schedule_free_average(state, ours),
        expected,
    )


@pytest.mark.parametrize('name', sorted(SCALINGS))
def test_weight_decay_is_for_kernels_only(name):
    params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}
    zeros = [jax.tree.map(jnp.zeros_like, params)] * 2
    after, _ = run(params, zeros, name=name, weight_decay=0.5)
    assert (after['kernel'] < 1).all()
    np.testing.assert_array_equal(after['bias'], params['bias'])


@pytest.mark.parametrize('name', ELEMENTWISE)
def test_stacked_blocks_move_as_each_by_itself(name):
    def draw(key):
        normal = jax.random.normal
        blocks = {
            f'block_{i}': {'kernel': normal(jax.random.fold_in(key, i), (3, 4)), 'bias': one}
            for i, one in enumerate(normal(key, (2, 5)))
        }
        return {**blocks, 'head': {'kernel': normal(key, (6, 7)), 'bias': normal(key, (8,))}}

    loops = {(): ('block_0', 'block_1')}
    params, *gradients = map(draw, jax.random.split(jax.random.key(9), 4))
    changes = dict(name=name, weight_decay=0.5, clip_norm=0.1)
    expected, _ = run(params, gradients, **changes)
    stacked, *stacks = (stack_loops(tree, loops) for tree in (params, *gradients))
    moved, _ = run(stacked, stacks, **changes)
    found = unstack_loops(moved, loops)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


def test_clipping_bounds_the_first_moment_and_the_norm_before_it_is_recorded():
    params = {'w': jnp.zeros(4)}
    _, state = run(params, [{'w': jnp.full(4, 10.0)}], clip_norm=1.0)
    np.testing.assert_allclose(optax.tree.get(state, 'gradient_norm'), 20.0)
    np.testing.assert_allclose(optax.tree.get(state, 'mu')['w'], 0.1 * 0.5, rtol=1e-6)


def test_the_state_has_one_structure_whatever_is_switched_on():
    params = {'w': jnp.zeros((2, 2))}
    plain = run(params, [])[1]
    full = run(params, [], clip_norm=1.0, weight_decay=0.1, schedule='cosine', warmup_steps=3)[1]
    assert jax.tree.structure(plain) == jax.tree.structure(full)


def quadratic(params, batch, key):
    del key
    error = batch @ params['w']
    value = jnp.mean(error**2)
    return value, ({'error': value}, {'total': batch.sum()}, {'square': error**2})


def update(params, batch, accumulation, loss_scale=None, loss=quadratic):
    transformation = make_optimizer(PLAIN, make_schedule(PLAIN, 10))
    return jax.jit(
        lambda p, b: accumulated_update(
            loss,
            p,
            transformation.init(p),
            loss_scale,
            b,
            jax.random.key(0),
            optimizer=transformation,
            accumulation=accumulation,
            merge=lambda a, b: jax.tree.map(jnp.add, a, b),
        )
    )(params, batch)


@pytest.mark.parametrize('accumulation', [2, 4, 8])
def test_microbatches_give_the_update_of_one_batch(accumulation):
    params = {'w': jnp.array([0.3, -0.2, 0.9])}
    batch = jax.random.normal(jax.random.key(1), (8, 3))
    whole, split = update(params, batch, 1), update(params, batch, accumulation)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), whole, split)


def test_microbatches_are_strided_so_that_shards_stay_where_they_are():
    batch = np.arange(8)
    np.testing.assert_array_equal(
        split_microbatches(batch, 2), [[0, 2, 4, 6], [1, 3, 5, 7]]
    )


@pytest.mark.parametrize('accumulation', [1, 2])
def test_an_update_that_is_not_finite_is_not_taken(accumulation):
    params = {'a': jnp.ones(2), 'w': jnp.array([0.3, -0.2, 0.9])}
    batch = jnp.ones((4, 3)).at[3, 0].set(jnp.inf)
    after, state, _, gradients = update(params, batch, accumulation)
    jax.tree.map(np.testing.assert_array_equal, after, params)
    assert all(int(count) == 0 for _, count in optax.tree.get_all_with_path(state, 'count'))
    assert gradients.finite.tolist() == [True, False]
    assert not gradients.applied


def test_a_gradient_whose_square_is_too_large_is_not_taken():
    def loss(params, batch, key):
        value, aside = quadratic(params, batch, key)
        return value + 1e20 * params['a'][1], aside

    params = {'a': jnp.ones(2), 'w': jnp.array([0.3, -0.2, 0.9])}
    after, _, _, gradients = update(params, jnp.ones((4, 3)), 1, loss=loss)
    jax.tree.map(np.testing.assert_array_equal, after, params)
    assert gradients.finite.tolist() == [False, True]
    assert jnp.isfinite(gradients.loss)
    assert not gradients.applied


def test_the_loss_scale_falls_when_a_gradient_overflows_and_comes_back():
    def loss(params, batch, key):
        value, aux = quadratic(jax.tree.map(lambda p: p.astype(jnp.float16), params), batch, key)
        return value.astype(jnp.float32), aux

    params = {'w': jnp.array([0.3, -0.2, 0.9])}
    batch = jnp.full((4, 3), 10, jnp.float16)
    scale = DynamicScale(growth_interval=1, scale=2.0**24)
    after, _, scale, gradients = update(params, batch, 1, scale, loss)
    assert not gradients.applied
    assert float(scale.scale) == 2.0**23
    np.testing.assert_array_equal(after['w'], params['w'])
    scale = scale.replace(scale=jnp.float32(4.0))
    after, _, scale, gradients = update(params, batch, 1, scale, loss)
    assert gradients.applied
    exact = jax.grad(lambda p: quadratic(p, batch.astype(jnp.float32), None)[0])(params)
    moved = np.sign(after['w'] - params['w'])
    np.testing.assert_array_equal(moved, -np.sign(exact['w']))


def test_ema_follows_taken_updates_only():
    average, params = {'w': jnp.zeros(2)}, {'w': jnp.ones(2)}
    average_after = ema(average, params, 0.9, jnp.array(True))
    np.testing.assert_allclose(average_after['w'], 0.1, rtol=1e-6)
    kept = ema(average, params, 0.9, jnp.array(False))
    np.testing.assert_array_equal(kept['w'], 0)
    assert ema(None, params, 0.9, jnp.array(True)) is None


def test_an_average_leaves_the_start_sooner():
    steps = [jnp.int32(step) for step in (0, 5, 10_000)]
    found = [float(warm_decay(0.999, 10.0, step)) for step in steps]
    np.testing.assert_allclose(found, [1 / 10, 6 / 15, 0.999], rtol=1e-6)
    assert all(float(warm_decay(0.75, 0.0, step)) == 0.75 for step in steps)
