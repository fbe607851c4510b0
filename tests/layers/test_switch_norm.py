"""The switch norm against the original, its buffer, and batches in parts."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import strategies as st
from one_program import apply, init
from parity import assert_close, nhwc
from switched import switch_norm

from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.layers import switch_norm as norms
from sr_jax.layers.diff_argmax import hard_gate
from sr_jax.layers.switch_norm import SwitchNorm, SwitchNormStatistics, merge_statistics

log_norm = jax.jit(norms.log_norm, static_argnames='start')
update_switch_norm = jax.jit(norms.update_switch_norm)
update_switch_norms = jax.jit(norms.update_switch_norms)
TRAIN, TRAIN_WITHOUT_UPDATE, EVALUATE = 0, 1, 2
DLAS_FINAL_FLAGS = 6 * [TRAIN] + [EVALUATE]  # that fixture lacks them


def assert_same_state(actual, expected, rtol=1e-5):
    assert actual['index'] == expected['index']
    assert actual['filled'] == expected['filled']
    np.testing.assert_allclose(actual['buffer'], expected['buffer'], rtol=rtol, atol=1e-6)


def random_logits(seed, shape=(4, 3, 2, 4)):
    return jax.random.normal(jax.random.key(seed), (np.prod(shape),)).reshape(shape) * 2


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def differentiate(norm, state, logits, train, update, cotangent):
    """Probabilities as the original's, the state, and the gradient of the logits."""

    def output(logits):
        mutable = ['switch_norm'] if update else []
        log_y, changed = norm.apply({'switch_norm': state}, logits, train=train, mutable=mutable)
        return jnp.exp(log_y), changed.get('switch_norm', state)

    y, pull_back, state = jax.vjp(output, logits, has_aux=True)
    return y, state, *pull_back(cotangent)


@pytest.mark.parametrize(
    ('case', 'renormalize'),
    [
        ('switch_norm_sequence', True),
        ('switch_norm_sequence_float64', True),
        ('switch_norm_sequence_dlas_final', False),
    ],
)
def test_a_sequence_of_passes_is_the_originals(golden, case, renormalize):
    arrays = golden(case)
    norm = SwitchNorm(size=4, renormalize=renormalize)
    state = init(norm, jax.random.key(0), nhwc(arrays['step0/in/x']))['switch_norm']
    for i, flag in enumerate(arrays.get('flags', DLAS_FINAL_FLAGS)):
        x = nhwc(arrays[f'step{i}/in/x'])
        y, state, gradient = differentiate(
            norm,
            state,
            jnp.log(x),
            flag in (TRAIN, TRAIN_WITHOUT_UPDATE),
            flag == TRAIN,
            nhwc(arrays[f'step{i}/cotangent']),
        )
        assert_same_state(state, switch_norm(arrays, f'step{i}/buffer_after/'))
        assert_close(y, nhwc(arrays[f'step{i}/out/y']), rtol=1e-5)
        # theirs is of x, a softmax: on to its logits
        expected = x * nhwc(arrays[f'step{i}/grad/in/x'])
        expected -= x * expected.sum(axis=-1, keepdims=True)
        assert_close(gradient, expected, rtol=1e-4)


@pytest.mark.parametrize('hardness', ['hard', 'soft'])
@pytest.mark.parametrize('filled', ['filled', 'unfilled'])
def test_the_gate_is_the_originals(golden, hardness, filled):
    """Softmax, switch norm and gate together, with their gradient."""
    arrays = golden(f'switch_gate_{hardness}_{filled}')
    variables = {'switch_norm': switch_norm(arrays, 'buffer/norm.')}

    def output(logits):
        log_y, changed = apply(SwitchNorm(), variables, logits, train=True, mutable=['switch_norm'])
        y = hard_gate(log_y) if hardness == 'hard' else jnp.exp(log_y)
        return y, (jnp.exp(log_y), changed['switch_norm'])

    y, pull_back, (soft, state) = jax.vjp(output, nhwc(arrays['in/x']), has_aux=True)
    assert_close(soft, nhwc(arrays['out/soft']), rtol=1e-5)
    assert_close(y, nhwc(arrays['out/y']), rtol=1e-5)
    assert_same_state(state, switch_norm(arrays, 'buffer_after/norm.'))
    (gradient,) = pull_back(nhwc(arrays['cotangent']))
    assert_close(gradient, nhwc(arrays['grad/in/x']), rtol=1e-4)


def test_even_use_follows_from_the_norm():
    """Over the batches of a filled buffer, the divided probabilities have equal means."""
    state = init(SwitchNorm(size=8), jax.random.key(0), random_logits(0))['switch_norm']
    logits = [random_logits(i) + jnp.array([3.0, 0, 0, -3])[None, None, None] for i in range(8)]
    for batch in logits:
        totals = jax.nn.softmax(batch).sum(axis=(0, 1, 2))
        state = update_switch_norm(state, SwitchNormStatistics(totals))
    assert state['filled'] and state['index'] == 0
    divided = jax.nn.softmax(jnp.stack(logits)) / jnp.exp(log_norm(state))[(None,) * 4]
    np.testing.assert_allclose(divided.mean(axis=(0, 1, 2, 3)), 0.25, rtol=1e-5)


@hypothesis.settings(max_examples=20)
@hypothesis.given(size=st.integers(1, 5), pushes=st.integers(0, 12))
def test_from_the_first_row_on_the_norm_is_the_mean_of_the_rows_there_are(size, pushes):
    state = init(SwitchNorm(size=size), jax.random.key(0), jnp.zeros((1, 3)))['switch_norm']
    rows = []
    for i in range(pushes):
        totals = jax.random.uniform(jax.random.key(i), (3,), minval=0.1)
        rows.append(totals / totals.mean())
        state = update_switch_norm(state, SwitchNormStatistics(totals))
    expected = jnp.stack(rows[-size:]).mean(axis=0) if rows else jnp.ones(3)
    np.testing.assert_allclose(jnp.exp(log_norm(state, 'first')), expected, rtol=1e-5)
    published = expected if pushes >= size else jnp.ones(3)
    np.testing.assert_allclose(jnp.exp(log_norm(state, 'full')), published, rtol=1e-5)


def test_a_norm_that_begins_at_once_is_even_for_its_first_batch_and_saved_for_evaluation():
    logits = random_logits(0) + jnp.array([3.0, 0, 0, -3])[None, None, None]
    norm = SwitchNorm(size=8, renormalize=False, start='first')
    state = init(norm, jax.random.key(0), logits)
    log_y, state = apply(norm, state, logits, train=True, mutable=['switch_norm'])
    np.testing.assert_allclose(jnp.exp(log_y).mean(axis=(0, 1, 2)), 0.25, rtol=1e-5)
    np.testing.assert_array_equal(apply(norm, state, logits), log_y)
    published = apply(SwitchNorm(size=8, renormalize=False), state, logits)
    np.testing.assert_allclose(published, jax.nn.log_softmax(logits), rtol=1e-6)


def test_a_start_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"norm_start is 'frist': it must be one of \('full',"):
        SwitchNorm(start='frist').init(jax.random.key(0), jnp.zeros((1, 3)))


def test_a_dead_kernel_gives_finite_values_and_gradients():
    """Its use rounds to zero, where the division of the original gives nan."""
    state = {
        'buffer': jnp.tile(jnp.array([[1.5, 1.5, 0.0]]), (2, 1)),
        'index': jnp.int32(0),
        'filled': jnp.array(True),
    }
    logits = jnp.array([[1.0, 2.0, -200.0], [0.0, 0.0, -80.0]])

    def log_y(logits):
        return SwitchNorm(size=2).apply({'switch_norm': state}, logits)

    y, pull_back = jax.vjp(log_y, logits)
    assert np.isfinite(y).all() and np.isfinite(pull_back(jnp.ones((2, 3)))[0]).all()
    np.testing.assert_allclose(jnp.exp(y).sum(-1), 1, rtol=1e-6)


@hypothesis.settings(max_examples=20)
@hypothesis.given(st.integers(1, 5), st.integers(1, 12))
def test_the_buffer_rotates(size, pushes):
    state = {
        'buffer': jnp.zeros((size, 2)),
        'index': jnp.int32(0),
        'filled': jnp.array(False),
    }
    for i in range(pushes):
        state = update_switch_norm(state, SwitchNormStatistics(jnp.array([1.0, 1.0 + i])))
    assert state['index'] == pushes % size
    assert state['filled'] == (pushes >= size)
    kept = {round(float(b / a)) - 1 for a, b in state['buffer'] if a}
    assert kept == set(range(max(pushes - size, 0), pushes))


# Batches in parts -----------------------------------------------------------------------------


@hypothesis.settings(max_examples=20)
@hypothesis.given(st.sampled_from([1, 2, 4]), st.integers(0, 3))
def test_microbatches_push_one_row_as_one_batch_would(parts, seed):
    logits = random_logits(seed)
    norm = SwitchNorm(size=2)
    variables = init(norm, jax.random.key(0), logits)
    _, whole = apply(norm, variables, logits, train=True, mutable=['switch_norm'])
    merged = None
    for part in jnp.split(logits, parts):
        _, out = apply(norm, variables, part, train=True, mutable=['switch_norm_statistics'])
        statistics = out['switch_norm_statistics']
        merged = statistics if merged is None else merge_statistics(merged, statistics)
    updated = update_switch_norms(variables['switch_norm'], merged)
    assert_same_state(updated, whole['switch_norm'])


def test_a_network_of_norms_is_updated_by_name():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            return SwitchNorm(2, name='b')(SwitchNorm(2, name='a')(x, train), train)

    logits = random_logits(0)
    variables = init(Two(), jax.random.key(0), logits)
    mutable = ['switch_norm', 'switch_norm_statistics']
    _, out = apply(Two(), variables, logits, train=True, mutable=mutable)
    updated = update_switch_norms(variables['switch_norm'], out['switch_norm_statistics'])
    for name in 'ab':
        assert_same_state(updated[name], out['switch_norm'][name])


def test_eight_devices_push_the_row_of_the_whole_batch():
    logits = random_logits(0, (8, 3, 2, 4))
    norm = SwitchNorm(size=1)
    variables = init(norm, jax.random.key(0), logits)
    mesh = sharding.make_mesh()
    assert mesh.size == 8

    def step(variables, logits):
        return apply(norm, variables, logits, train=True, mutable=['switch_norm'])

    shards = (sharding.replicated_sharding(mesh), sharding.batch_sharding(mesh))
    y, changed = jax.jit(step, in_shardings=shards)(variables, logits)
    expected, expected_state = step(variables, logits)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    assert_same_state(changed['switch_norm'], expected_state['switch_norm'])


# What it refuses, and what it leaves alone ------------------------------------------------------


def test_inference_without_the_saved_buffer_is_refused():
    for variables, mutable in (({}, False), ({'params': {}}, ['switch_norm'])):
        with pytest.raises(InputError, match=r"lack the collection 'switch_norm'.* saved"):
            apply(SwitchNorm(), variables, random_logits(0), mutable=mutable)
    with pytest.raises(InputError, match='switch_norm'):
        apply(SwitchNorm(), {}, random_logits(0), train=True)


def test_training_may_start_a_buffer():
    mutable = ['switch_norm']
    _, changed = apply(SwitchNorm(size=3), {}, random_logits(0), train=True, mutable=mutable)
    assert changed['switch_norm']['index'] == 1


def test_a_buffer_of_another_size_is_refused():
    variables = init(SwitchNorm(size=3), jax.random.key(0), random_logits(0))
    with pytest.raises(InputError, match=r'\(3, 4\).*5 rows of 4'):
        apply(SwitchNorm(size=5), variables, random_logits(0))


def test_evaluation_and_initialization_change_nothing():
    variables = init(SwitchNorm(size=3), jax.random.key(0), random_logits(0), train=True)
    assert set(variables) == {'switch_norm'}
    assert variables['switch_norm']['index'] == 0 and not variables['switch_norm']['buffer'].any()
    _, changed = apply(SwitchNorm(size=3), variables, random_logits(0), mutable=['switch_norm'])
    assert_same_state(changed['switch_norm'], variables['switch_norm'])
