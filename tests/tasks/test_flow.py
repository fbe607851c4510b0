"""What a flow learns, from the first update on, and what is said when it goes wrong."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny import images

from sr_jax import models, tasks
from sr_jax.degradations.settings import BicubicSettings
from sr_jax.devices import sharding
from sr_jax.errors import InputError, TrainingError
from sr_jax.losses.likelihood import bits_per_dimension
from sr_jax.tasks import flow
from sr_jax.tasks.task import check_finite

SIZE = 16
BICUBIC = BicubicSettings('bicubic', True)
MESH = sharding.make_mesh(jax.devices()[:1])


def config_of(**changes):
    return tiny.flow(
        **dict(
            model__steps=1,
            model__transitions=1,
            loss__quantization=0,
            loss__encoder_from=1,
            optimizer__learning_rate=5e-3,
            optimizer__ema_decay=0.5,
            train__batch_size=8,
        )
        | changes
    )


class Trainer:
    """A config's functions, compiled once."""

    def __init__(self, config, mesh=MESH):
        self.config, self.mesh, self.task = config, mesh, tasks.make(config)
        self.tree = jax.device_get(tiny.started(self.task, MESH, config.seed))
        step = sharding.jit_step(self.task.train_step, mesh)
        self.step = tiny.compiled(step, self._placed(self.tree), self._batch(images(8)))

    def run(self, count, batch=None, change=lambda tree: tree):
        """Returns the states, from the start on, and each step's metrics."""
        tree = self._placed(change(copy.deepcopy(self.tree)))
        batch = self._batch(images(8) if batch is None else batch)
        states, history = [jax.device_get(tree['state'])], []
        for _ in range(count):
            tree, metrics = self.step(tree, batch)
            states.append(jax.device_get(tree['state']))
            history.append(jax.device_get(metrics))
        return states, history

    def _placed(self, tree):
        return jax.device_put(tree, sharding.replicated_sharding(self.mesh))

    def _batch(self, hq):
        return sharding.put_batch({'hq': hq}, self.mesh)


def losses(history):
    return [metrics['loss'] for metrics in history]


@pytest.fixture(scope='module')
def trainer():
    return Trainer(config_of())


@pytest.fixture(scope='module')
def run(trainer):
    return trainer.run(3)


def changed(before, after):
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


@pytest.mark.slow
def test_the_encoder_rests_until_its_step(run):
    states, _ = run
    encoders = [state.params['rrdb']['conv_first'] for state in states]
    assert not changed(encoders[0], encoders[1])
    assert changed(encoders[1], encoders[2])
    assert changed(states[1].params['level_0'], states[2].params['level_0'])


def test_layers_begin_with_the_first_batch(run):
    states, _ = run
    fresh, after = (state.params['transition_0']['steps']['act_norm'] for state in states[:2])
    assert not fresh['bias'].any()
    # The mean of noise in [0, 1] is 0.5 and its deviation 0.29; one update moves it by 5e-3.
    np.testing.assert_allclose(after['bias'], -0.5, atol=0.05)
    np.testing.assert_allclose(np.exp(-after['log_scale']), 12**-0.5, rtol=0.1)
    # The average begins there too, not at zero.
    average = states[1].ema_params['transition_0']['steps']['act_norm']['bias']
    np.testing.assert_allclose(average, after['bias'], atol=1e-2)


@pytest.mark.slow
def test_eight_devices_begin_as_one_does(trainer, run):
    model, loss = models.make(trainer.config.model), flow.LossSettings(0, -1)
    pair = functools.partial(flow.make_pair, model, BICUBIC, loss)
    key, mesh = jax.random.key(0), sharding.make_mesh()

    def begin(state, batch):
        params = flow.start_with_data(model, state, *pair(batch, key))
        return params, flow.compute_loss(model, loss, pair, params, state, batch, key)[0]

    places = (sharding.replicated_sharding(mesh), sharding.batch_sharding(mesh))
    state, batch = trainer.tree['state'], sharding.put_batch({'hq': images(8)}, mesh)
    params, value = jax.jit(begin, in_shardings=places)(state, batch)
    assert value == pytest.approx(run[1][0]['loss'], rel=1e-5)
    # One update moves it by 5e-3.
    moved = run[0][1].params['level_2']['steps']['act_norm']
    began = params['level_2']['steps']['act_norm']
    for name in ('bias', 'log_scale'):
        np.testing.assert_allclose(began[name], moved[name], atol=6e-3)


@pytest.mark.slow
def test_eight_devices_learn_as_one_does(run):
    states, history = Trainer(config_of(), sharding.make_mesh()).run(2)
    np.testing.assert_allclose(losses(history), losses(run[1])[:2], rtol=1e-3)
    assert history[0]['loss'] == pytest.approx(run[1][0]['loss'], rel=1e-5)
    pairs = zip(
        jax.tree.leaves_with_path(run[0][1].params), jax.tree.leaves(states[1].params), strict=True
    )
    for (path, one), eight in pairs:
        # What was just centred has no gradient of its biases but rounding, which Adam enlarges.
        if jax.tree_util.keystr(path[-1:], simple=True) != 'bias':
            np.testing.assert_allclose(eight, one, atol=1e-3, err_msg=str(path))


def test_the_loss_is_the_negative_log_likelihood(trainer, run):
    states, history = run
    params = {'params': states[1].params}
    model = models.make(trainer.config.model)
    outputs = jax.jit(trainer.task.predict)(params, {'hq': images(8)}, jax.random.key(0))

    @jax.jit
    def encode(params, hq, lq):
        condition = model.apply(params, lq, method='condition')
        return model.apply(params, hq, condition, method='encode')

    encoding = encode(params, images(8), outputs['lq'])
    bits = bits_per_dimension(encoding.log_likelihood, SIZE * SIZE * 3)
    np.testing.assert_allclose(bits.mean(), history[1]['loss'], rtol=1e-5)
    np.testing.assert_allclose(outputs['bits_per_dimension'], bits, rtol=1e-4)


def test_noise_is_as_wide_as_a_level():
    model, batch = models.make(config_of().model), {'hq': images(8)}

    @functools.partial(jax.jit, static_argnums=0)
    def pair(levels):
        loss = flow.LossSettings(levels, 0)
        return flow.make_pair(model, BICUBIC, loss, batch, jax.random.key(0))

    noise = pair(32)[1] - images(8)
    assert np.abs(noise).max() <= 0.5 / 32
    np.testing.assert_allclose(noise.std(), 12**-0.5 / 32, rtol=0.02)
    np.testing.assert_array_equal(pair(0)[1], images(8))


def test_it_learns(trainer):
    texture = np.tile(images(8, 4), (1, 4, 4, 1))
    _, history = trainer.run(30, batch=texture)
    assert history[-1]['loss'] < history[0]['loss'] - 0.4


@pytest.mark.slow
def test_accumulation_averages_microbatches(run):
    halves = Trainer(config_of(train__batch_size=4, train__accumulation=2))
    # Layers begin with the first half here, so they begin a little differently.
    np.testing.assert_allclose(losses(halves.run(2)[1]), losses(run[1])[:2], atol=0.2)


def test_what_is_not_finite_is_named(trainer):
    def spoil(tree):
        norm = tree['state'].params['level_1']['steps']['act_norm']
        norm.update(log_scale=np.full_like(norm['log_scale'], np.nan), bias=norm['bias'] + 1)
        return tree

    states, history = trainer.run(1, change=spoil)
    names = [
        jax.tree_util.keystr(path, simple=True, separator='/')
        for path, _ in jax.tree.leaves_with_path(states[0].params)
    ]
    # A transition step comes before the spoilt one.
    with pytest.raises(TrainingError, match='not finite is of layer 1 of level_1'):
        check_finite(1, history[0], names)


def test_predictions_of_any_size(trainer, run):
    variables = run[0][-1].inference_variables()
    key = jax.random.key(0)
    predict = jax.jit(trainer.task.predict)
    small = images(2, 7)[:, :, :5]
    outputs = predict(variables, {'lq': small}, key)
    assert outputs['image'].shape == (2, 28, 20, 3)
    assert 'bits_per_dimension' not in outputs
    again = predict(variables, {'lq': small}, key)
    np.testing.assert_array_equal(outputs['image'], again['image'])
    cut = jax.eval_shape(trainer.task.predict, variables, {'hq': images(2, 22)}, key)
    assert cut['image'].shape == (2, 22, 22, 3)
    calm = tasks.make(config_of(sampling__temperature=0.0))
    mean = jax.jit(calm.predict)(variables, {'lq': small}, key)['image']
    assert np.abs(mean - outputs['image']).max() > 0.01
    padded = np.pad(small, ((0, 0), (0, 1), (0, 1), (0, 0)), mode='edge')
    whole = jax.jit(models.make(trainer.config.model).apply)(variables, padded)
    np.testing.assert_allclose(mean, np.clip(whole, 0, 1)[:, :28, :20], atol=1e-5)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(data__crop_size=12), 'no multiple of 8.*halves 3 times: take 16'),
        (dict(sampling__temperature=-0.1), 'temperature must not be negative'),
        (dict(loss__quantization=-1), 'quantization must not be negative'),
        (dict(loss__encoder_from=-2), 'a step, or -1 for never'),
        (dict(loss__encoder_from=2**33), r'config\.loss: encoder_from must be under 2\*\*31'),
        (dict(model=dict(name='srresnet', scale=4)), 'SRResNet is no normalizing flow'),
        (dict(model__stepps=2), 'stepps'),
    ],
)
def test_what_cannot_be_trained_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(config_of(**changes))


def test_added_noise_is_as_much_as_the_flow_is_told():
    config = config_of(model__max_noise=0.2)
    model = models.make(config.model)
    loss = flow.LossSettings(quantization=0, encoder_from=0)
    batch = {'hq': jnp.asarray(images(64))}

    def make_pair(model):
        pair = functools.partial(flow.make_pair, model, BICUBIC, loss)
        return jax.device_get(jax.jit(pair)(batch, jax.random.key(0)))

    lq, noisy, noise = make_pair(model)
    clean_lq, clean, none = make_pair(model.clone(max_noise=0.0))
    assert none is None
    np.testing.assert_array_equal(lq, clean_lq)
    assert 0 <= noise.min() < 0.02 and 0.18 < noise.max() <= 0.2
    np.testing.assert_allclose((noisy - clean).std((1, 2, 3)), noise, rtol=0.15, atol=1e-6)
