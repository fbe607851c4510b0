import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax.training.dynamic_scale import DynamicScale
from tiny import vqvae

from sr_jax import tasks
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.config.serialization import from_json, to_json
from sr_jax.devices import memory, sharding
from sr_jax.errors import InputError

SIZE, BATCH = 16, 16
ONE = sharding.make_mesh(jax.devices()[:1])


@functools.cache
def batches(count=3):
    rng = np.random.default_rng(0)
    return [{'hq': rng.random((BATCH, SIZE, SIZE, 3), np.float32)} for _ in range(count)]


def config_of(**changes):
    """Codebooks of two sizes, so that neither is taken for the other."""
    return vqvae(model__bottom_codebook_size=32, **changes)


@functools.cache
def started(model, ema_decay):
    """The tree at the start; compiled once for all configs that it is the same for."""
    config = config_of(optimizer__ema_decay=ema_decay)
    config.model.update(from_json(model))
    return jax.device_get(tiny.started(tasks.make(config), ONE))


def start(config):
    """The tree at the start, of any type that is computed in."""
    tree = started(to_json(config.model), config.optimizer.ema_decay)
    if config.dtype != 'float16':
        return tree
    return {**tree, 'state': tree['state'].replace(loss_scale=jax.device_get(DynamicScale()))}


@functools.cache
def jit_step(config, devices):
    """The step of a config as JSON."""
    task = tasks.make(from_json(config))
    mesh = sharding.make_mesh(jax.devices()[:devices])
    return sharding.jit_step(task.train_step, mesh)


def train(config, devices=1, data=None):
    """Returns the tree after some steps, and each step's metrics."""
    mesh = sharding.make_mesh(jax.devices()[:devices])
    step = jit_step(to_json(config), devices)
    tree = jax.device_put(start(config), sharding.replicated_sharding(mesh))
    history = []
    for batch in batches() if data is None else data:
        tree, metrics = step(tree, sharding.put_batch(batch, mesh))
        history.append(jax.device_get(metrics))
    return jax.device_get(tree), history


@functools.cache
def reference(**changes):
    return train(config_of(**changes))


@functools.cache
def predicted():
    """What is predicted of the first batch by the network at the start."""
    config = config_of()
    variables = start(config)['state'].inference_variables()
    predict = jax.jit(tasks.make(config).predict)
    return jax.device_get(predict(variables, batches()[0], jax.random.key(0)))


# A revived code becomes a random vector of one microbatch: another one than of the whole batch.
PLAIN = {'model__revive_below': 0.0}


def assert_same(actual, expected, rtol=2e-4, atol=2e-5):
    (tree, history), (expected_tree, expected_history) = actual, expected
    for metrics, expected_metrics in zip(history, expected_history, strict=True):
        assert metrics.keys() == expected_metrics.keys()
        for key, value in expected_metrics.items():
            np.testing.assert_allclose(metrics[key], value, rtol=rtol, atol=atol, err_msg=key)
    for name in ('params', 'variables'):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=10 * rtol, atol=10 * atol),
            getattr(tree['state'], name),
            getattr(expected_tree['state'], name),
        )


def test_a_step_moves_everything_and_counts():
    tree, history = reference()
    state = tree['state']
    assert state.step == 3
    assert history[0]['loss'] > 0
    assert set(history[0]) >= {
        *('loss', 'reconstruction', 'commitment', 'perplexity_bottom', 'codebook/usage_top'),
        *('optimizer/gradient_norm', 'optimizer/learning_rate'),
    }
    first = start(config_of())['state']
    for name in ('params', 'variables'):
        before, after = getattr(first, name), getattr(state, name)
        moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, after)
        assert all(jax.tree.leaves(moved)), moved


def test_the_loss_is_the_published_sum():
    _, history = reference()
    for metrics in history:
        expected = metrics['reconstruction'] + 0.25 * metrics['commitment']
        np.testing.assert_allclose(metrics['loss'], expected, rtol=1e-6)


def test_the_reconstruction_term_is_the_mse_of_images_in_minus_one_to_one():
    mse = np.mean((predicted()['image'] - batches()[0]['hq']) ** 2)
    np.testing.assert_allclose(reference()[1][0]['reconstruction'], 4 * mse, rtol=1e-3)


def test_eight_devices_give_the_losses_of_one():
    assert_same(train(config_of(), devices=8), reference())


def test_four_microbatches_give_the_update_of_one_batch():
    split = config_of(train__batch_size=BATCH // 4, train__accumulation=4, **PLAIN)
    assert_same(train(split), reference(**PLAIN))


@pytest.mark.slow
def test_switched_convolutions_learn_on_eight_devices_as_on_one():
    layers = ('encoder_bottom/conv', 'decoder/conv')
    switching = {'layers': layers, 'breadth': 4, 'network': 'standard', 'norm_size': 2}
    config = config_of(**PLAIN, model__switching=switching, train__batch_size=BATCH)
    sharded, whole = train(config, devices=8), train(config)
    assert_same(sharded, whole)
    assert whole[0]['state'].variables['switch_norm']['decoder']['conv']['norm']['filled']


def test_microbatches_on_several_devices_give_the_update_of_one_batch():
    split = config_of(train__batch_size=BATCH // 2, train__accumulation=2, **PLAIN)
    assert_same(train(split, devices=8), reference(**PLAIN))


@pytest.mark.slow
def test_remat_gives_the_same_step_with_less_memory():
    assert_same(train(config_of(train__remat=True)), reference())

    def temporary(remat):
        config = config_of(train__remat=remat)
        step = jit_step(to_json(config), 1)
        batch = {'hq': jax.ShapeDtypeStruct((BATCH, SIZE, SIZE, 3), jnp.float32)}
        compiled = step.lower(abstract_tree(tasks.make(config), ONE), batch).compile()
        assert memory.compiled_bytes(compiled) > 0
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary(remat=True) < 0.9 * temporary(remat=False)


@pytest.mark.parametrize(
    'dtype', ['bfloat16', pytest.param('float16', marks=pytest.mark.slow)]
)
def test_mixed_precision_stays_near_float32(dtype):
    config = config_of(dtype=dtype)
    shapes = abstract_tree(tasks.make(config), ONE)
    assert jax.tree.structure(shapes) == jax.tree.structure(start(config))
    tree, history = train(config)
    for metrics, expected in zip(history, reference()[1], strict=True):
        assert metrics['finite_gradients'].all()
        np.testing.assert_allclose(metrics['loss'], expected['loss'], rtol=0.05)
    assert all(x.dtype == np.float32 for x in jax.tree.leaves(tree['state'].params))
    assert ('optimizer/loss_scale' in history[0]) == (dtype == 'float16')


def test_an_image_that_is_not_finite_changes_nothing_but_the_step():
    config = config_of(optimizer__ema_decay=0.5)
    state = start(config)['state']
    batch = {'hq': batches()[0]['hq'].copy()}
    batch['hq'][0, 0, 0, 0] = np.nan
    tree, (metrics,) = train(config, data=[batch])
    after = tree['state']
    assert not metrics['finite_gradients'].all()
    assert after.step == 1
    same = jax.tree.map(np.array_equal, after.replace(step=state.step), state)
    assert all(jax.tree.leaves(same)), same


def test_predictions_use_the_averaged_parameters():
    tree, _ = train(config_of(optimizer__ema_decay=0.5))
    state = tree['state']
    used = state.inference_variables()['params']
    jax.tree.map(np.testing.assert_array_equal, used, state.ema_params)
    assert not np.array_equal(jax.tree.leaves(used)[0], jax.tree.leaves(state.params)[0])


def test_predict_counts_the_codes_of_each_image():
    outputs = predicted()
    assert outputs['image'].shape == (BATCH, SIZE, SIZE, 3)
    assert 0 <= outputs['image'].min() and outputs['image'].max() <= 1
    for level, size, side in (('top', 16, SIZE // 8), ('bottom', 32, SIZE // 4)):
        codes, counts = outputs['codes'][level], outputs['code_counts'][level]
        assert codes.shape == (BATCH, side, side)
        assert counts.shape == (BATCH, size)
        np.testing.assert_array_equal(counts[3], np.bincount(codes[3].ravel(), minlength=size))
    # The first step's loss was of the same network and batch.
    assert outputs['commitment'].shape == (BATCH,)
    first = reference()[1][0]
    np.testing.assert_allclose(outputs['commitment'].mean(), first['commitment'], rtol=1e-5)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dtype': 'float64'}, r"config.dtype='float64': did you mean 'float"),
        ({'loss__commitment': 1.0}, "config.loss has no key 'commitment': did you mean"),
        ({'loss__commitment_weight': -0.5}, 'config.loss.commitment_weight must not be negative'),
        ({'model__upsampling': 'bilinear'}, 'bilinear'),
    ],
)
def test_bad_configs_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        task = tasks.make(vqvae(**changes))
        jax.eval_shape(task.init, jax.random.key(0), batches()[0])
