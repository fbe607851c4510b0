import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adversarial import MESH, RATE, config_of, images, run, same

from sr_jax import tasks
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.models.srresnet import SRResNet
from sr_jax.tasks import gan
from sr_jax.tasks.shared import dists
from sr_jax.tasks.shared.terms import Term, compute_if_active
from sr_jax.tasks.task import FROZEN, parameters, without_frozen

pytestmark = pytest.mark.usefixtures('small_discriminators')


@pytest.fixture(scope='module')
def phases(small_discriminators):
    """Pixels, from step 1 on features too, from step 2 on a discriminator too; images are mixed."""
    config = config_of(
        mixing__cutmix=0.5,
        loss__dists=dict(weight=0.3, start=1, weights='dists.pth'),
        optimizer__schedule='multistep',
        optimizer__milestones=(2,),
        loss__pixel=dict(weight=0.1, start=1, before=1.0),
        loss__adversarial__start=2,
        loss__criteria=dict(weight=0.7, start=1, weights=dict(luma=0.2, l2=0.3)),
        loss__perceptual__weight=0.1,
        loss__perceptual__start=1,
        loss__perceptual__weights='random',
        loss__perceptual__layers=dict(conv1_1=1.0),
    )
    config.discriminator_optimizer.update(schedule='multistep', milestones=(2,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dists.dists, 'read', lambda path, load: {path: np.float32(3)})
        patch.setattr(dists.dists, 'distances', stand_in)
        states, history, step = run(config, 3)
    return config, states, history, step


def stand_in(variables, made, true, dtype):
    """In the place of DISTS, whose network is large."""
    return variables['dists.pth'] * jnp.abs(made - true).mean((1, 2, 3))


def test_terms_begin_one_after_the_other(phases):
    _, states, history, _ = phases
    begins = {'criteria': 1, 'perceptual': 1, 'dists': 1, 'adversarial': 2, 'discriminator': 2}
    for name, start_step in begins.items():
        for step, metrics in enumerate(history):
            assert (metrics[name] > 0) == (step >= start_step), (name, step)
    for step, metrics in enumerate(history):
        weights = {'pixel': 0.1 if step else 1.0, 'perceptual': 0.1, 'adversarial': 3e-3}
        weights |= {'criteria': 0.7, 'dists': 0.3}
        total = sum(weight * metrics[name] for name, weight in weights.items())
        assert metrics['loss'] == pytest.approx(total, rel=1e-5)
    for name in ('params', 'variables', 'opt_state'):
        first, second, third, last = (getattr(s['discriminator'], name) for s in states)
        jax.tree.map(np.testing.assert_array_equal, (first, first), (second, third))
        moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), third, last)
        assert all(jax.tree.leaves(moved)), name


def test_the_rates_of_both_follow_the_steps_of_the_run(phases):
    _, states, history, _ = phases
    assert history[1]['discriminator_optimizer/learning_rate'] == pytest.approx(RATE)
    assert history[2]['discriminator_optimizer/learning_rate'] == pytest.approx(0.5 * RATE)
    old, new = (s['discriminator'].params['conv']['kernel'] for s in states[2:])
    assert np.abs(new - old).max() == pytest.approx(0.5 * RATE, rel=1e-3)  # Adam's first step


def test_what_has_no_weight_is_not_computed(phases):
    *_, step = phases
    assert step.as_text().count(' conditional(') >= 3  # perceptual, adversarial, discriminator
    shape = jax.ShapeDtypeStruct((), jnp.int32)

    def never(_):
        raise AssertionError

    term = Term(1.0)
    assert compute_if_active(term, shape, lambda: 3) == 3  # no branch where the weight is never 0
    with pytest.raises(AssertionError):
        jax.eval_shape(lambda s: compute_if_active(Term(1.0, start=2), s, lambda: never(s)), shape)


def test_the_feature_network_is_not_in_the_checkpoint(phases):
    config, states, _, _ = phases
    task = tasks.make(config)
    saved = abstract_tree(task, MESH)['state']
    assert 'frozen' not in saved['generator'].variables
    first, last = (state['generator'].variables['frozen'] for state in (states[0], states[3]))
    assert set(first) == {'perceptual', 'dists'} and set(first['perceptual']) == {'conv1_1'}
    jax.tree.map(np.testing.assert_array_equal, first, last)
    without = without_frozen(task, states[3])
    assert jax.tree.structure(without) == jax.tree.structure(saved)


@pytest.mark.slow
def test_microbatches_give_the_update_of_one_batch():
    config = config_of(batch_norm=False, loss__adversarial__relativistic=False)
    (_, whole), (expected,), _ = run(config)
    config.train.update(batch_size=2, accumulation=2)
    (_, parts), (metrics,), _ = run(config)
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    for network, state in parts.items():
        same(state.variables, whole[network].variables, rtol=1e-5, atol=1e-6)
        same(state.opt_state, whole[network].opt_state, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_eight_devices_give_the_step_of_one():
    config = config_of(loss__adversarial__start=1)
    batch = images(8)
    (*_, one), history, _ = run(config, 2, batch=batch)
    (*_, eight), others, _ = run(config, 2, sharding.make_mesh(jax.devices()[:8]), batch)
    for expected, metrics in zip(history, others, strict=True):
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name], value, rtol=1e-3, atol=1e-6, err_msg=name)
    for network, state in eight.items():
        same(state.variables, one[network].variables, rtol=1e-3, atol=1e-5)


def test_without_a_discriminator_pixels_alone_are_the_task_regression():
    config = config_of(loss__pixel__weight=1.0, loss__adversarial__weight=0.0)
    config.discriminator.name = ''
    (_, ours), (metrics,), _ = run(config)
    assert set(ours) == {'generator'}
    ours = ours['generator']
    assert not {'discriminator', 'adversarial'} & set(metrics)
    with config.unlocked():
        del config.discriminator, config.discriminator_optimizer
        config.task, config.loss = 'regression', dict(criterion='l1')
    (_, theirs), (expected,), _ = run(config)
    assert metrics['loss'] == pytest.approx(float(expected['loss']), rel=1e-6)
    same(ours.ema_params, theirs.ema_params, rtol=1e-5, atol=1e-7)
    started = ours.starting_with(theirs.inference_variables())
    same(started.params, theirs.ema_params)


def test_the_translational_loss_compares_the_first_crop_with_one_of_three():
    config = config_of(
        data__crop_size=16,
        loss__adversarial__weight=0.0,
        loss__translational=dict(weight=2.0, crop_size=12),
        discriminator__name='',
    )
    (before, _), (metrics,), _ = run(config)
    hq = images(size=16)
    task = tasks.make(config)
    given = task.predict(before['generator'].inference_variables(), hq, jax.random.key(0))['lq']
    model = SRResNet(scale=4, features=4, num_blocks=1)

    def enlarged(lq):
        return np.asarray(jax.jit(model.apply)({'params': before['generator'].params}, lq))

    first = enlarged(given[:, :3, :3])
    pixels = np.abs(first - hq['hq'][:, :12, :12]).mean()
    assert metrics['pixel'] == pytest.approx(pixels, rel=1e-5)
    regions = [  # pixels 4 to 12 of both sides, where the crops of 12 in four corners of 16 meet
        enlarged(given[:, :3, 1:])[:, 4:, :8],
        enlarged(given[:, 1:, :3])[:, :8, 4:],
        enlarged(given[:, 1:, 1:])[:, :8, :8],
    ]
    values = [np.abs(first[:, 4:, 4:] - region).mean() for region in regions]
    assert min(abs(metrics['translational'] / values - 1)) < 1e-4
    assert metrics['loss'] == pytest.approx(metrics['pixel'] + 2 * metrics['translational'])


@pytest.mark.slow
def test_switched_convolutions_learn_beside_a_discriminator():
    switching = dict(layers=('layer_0/conv',), breadth=2, network='standard', norm_size=3)
    model = dict(name='switched_sr', scale=4, features=4, num_layers=1, switching=switching)
    weights = dict(weight=0.01, start=0, before=0.0)
    config = config_of(model=model, loss__load_balancing=weights, dtype='float16')
    (before, after), (metrics,), _ = run(config)
    generator = after['generator']
    norm = generator.variables['switch_norm']['layer_0']['conv']['norm']
    assert norm['index'] == 1
    assert 1 <= metrics['load_balancing'] <= 2
    assert 0 <= metrics['min_share/layer_0/conv'] <= 0.5
    assert metrics['optimizer/loss_scale'] == 2.0**16
    assert metrics['discriminator_optimizer/loss_scale'] == 2.0**16
    for network, state in after.items():
        assert state.loss_scale.fin_steps == before[network].loss_scale.fin_steps + 1
    params = (parameters(before), parameters(after))
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), *params)
    assert moved['discriminator']['conv']['kernel'] and moved['generator']['conv_first']['kernel']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(loss__adversarial__kind='vanila'), "did you mean 'vanilla'"),
        (dict(loss__adversarial__weight=-1.0), 'config.loss.adversarial: weight must not be neg'),
        (dict(loss__pixel__start=2**32), r'config\.loss\.pixel: start must be under 2\*\*31'),
        (dict(loss__adversarial__r1_every=0), 'r1_every must be at least 1'),
        (dict(loss__adversarial__r1_every=2**31), r'adversarial: r1_every must be under 2\*\*31'),
        (dict(loss__adversarial=dict(weigth=1.0)), "no key 'weigth': did you mean 'weight'"),
        (dict(discriminator__name=''), 'needs a config.discriminator'),
        (dict(discriminator__norms='batch'), "no key 'norms': did you mean"),
        (dict(loss__perceptual__weight=1.0), 'as `weights` the file'),
        (dict(loss__criteria__weight=1.0), "needs weights={'luma': 1}"),
        (dict(loss__dists__weight=1.0), "needs `weights`, the file of DISTS' authors"),
        (dict(mixing__cutmix=1.5), 'parts of the batches'),
        (dict(loss__criteria__weights=dict(lumas=1.0)), "no such criterion: 'lumas'"),
        (dict(loss__perceptual__network='vgg18'), "did you mean 'vgg1"),
        (dict(loss__perceptual__layers=dict(conv9_1=1.0)), "layers has 'conv9_1'"),
        (dict(loss__translational__weight=1.0), 'needs a crop_size'),
        (dict(loss__translational=dict(weight=1.0, crop_size=6)), 'no multiple of the scale 4'),
        (dict(loss__translational=dict(weight=1.0, crop_size=4)), 'share nothing'),
        (dict(data__crop_size=18), 'crop_size=18 is no multiple'),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(config_of(**changes))


def test_a_discriminator_needs_its_optimizer():
    config = config_of()
    with config.unlocked():
        del config.discriminator_optimizer
    with pytest.raises(InputError, match="lacks the key 'discriminator_optimizer'"):
        tasks.make(config)


def test_losses_see_the_sharpened_target_and_the_discriminator_the_true_image(monkeypatch):
    config = config_of(loss__perceptual__weight=1.0, loss__perceptual__weights='random')
    parts = gan.read_parts(config)
    states = jax.jit(draw_in_loops(functools.partial(gan.init, parts)))(jax.random.key(0), images())
    generator = states['generator']
    generator = generator.replace(variables={**generator.variables, FROZEN: {'perceptual': {}}})
    batch = images()

    def sharpened(batch, scale, settings, key):
        return batch['hq'][:, ::scale, ::scale], 1 - batch['hq']

    monkeypatch.setattr(gan.degradations, 'training_pair', sharpened)
    seen = []

    def compare(settings, frozen, training, *pair):
        seen.append(pair)
        return jnp.zeros(())

    monkeypatch.setattr(gan.feature_network, 'compare', compare)

    @jax.jit
    def run(states, generator, batch):
        loss = functools.partial(gan.generator_loss, parts, states)
        _, (terms, _, compared) = loss(generator.params, generator, batch, jax.random.key(1))
        ((_, features_of),) = seen
        return terms, compared, features_of

    terms, compared, features_of = run(states, generator, batch)
    target = 1 - batch['hq']
    np.testing.assert_array_equal(compared['real'], batch['hq'])
    np.testing.assert_allclose(terms['pixel'], np.abs(compared['fake'] - target).mean(), rtol=1e-5)
    np.testing.assert_array_equal(features_of, target)


def test_the_target_of_dists_gets_no_gradient_and_predictions_need_no_weights(monkeypatch):
    config = config_of(loss__dists=dict(weight=0.5, weights='dists.pth'))
    monkeypatch.setattr(dists.dists, 'distances', stand_in)
    training = gan.read_parts(config).training['generator']
    assert tasks.make(config).frozen(None, False) is None

    def loss(made, true):
        return dists.compare({'dists.pth': 3.0}, training, made, true)

    made, true = images()['hq'], images(seed=1)['hq']
    value, (to_made, to_true) = jax.value_and_grad(loss, argnums=(0, 1))(made, true)
    np.testing.assert_allclose(value, 3 * np.abs(made - true).mean(), rtol=1e-5)
    assert np.abs(to_made).max() > 0 and not np.abs(to_true).any()
