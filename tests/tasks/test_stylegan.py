"""StyleGAN2's training step: its parts, microbatches, lazy regularization, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.checkpoints.run import begin
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.tasks import stylegan
from sr_jax.tasks.shared import stylegan_losses as losses
from sr_jax.tasks.shared.stylegan_losses import AverageSettings
from sr_jax.tasks.task import parameters, with_frozen


def images(count=8):
    return {'hq': jnp.asarray(tiny.images(count, 8))}


def advance(config, batch, steps=1, devices=1):
    """The tree after some steps on a batch, and the metrics of the last."""
    task = tasks.make(config)
    mesh = sharding.make_mesh(jax.devices()[:devices], fsdp=config.train.fsdp)
    tree = begin(task, 0, mesh)
    # the first updates of Adam have but signs: they would hide what is scaled wrongly
    step = sharding.jit_step(task.train_step, mesh, sharding.layout(tree, mesh))
    for _ in range(steps):
        tree, metrics = step(tree, sharding.put_batch(jax.device_get(batch), mesh))
    return jax.device_get(tree['state']), jax.device_get(metrics)


def moments(state):
    """Adam's first moments, which are the last gradient."""
    return [
        leaf
        for network in ('generator', 'discriminator')
        for leaf in jax.tree.leaves(state[network].opt_state[2].mu)
    ]


def close(first, second, tolerance=2e-3):
    scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(second))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale),
        *(first, second),
    )


@pytest.fixture(scope='module')
def whole():
    """The first step of a batch in one piece, both regularizers in it."""
    return advance(tiny.stylegan(train__batch_size=8), images())


@pytest.mark.slow
def test_microbatches_on_several_devices_are_the_whole_batch(whole):
    config = tiny.stylegan(train__batch_size=4, train__accumulation=2, train__fsdp=2)
    state, metrics = advance(config, images(), devices=4)
    close(moments(state), moments(whole[0]))
    for name in ('loss', 'discriminator', 'r1', 'path_penalty', 'path_length', 'real_logits'):
        np.testing.assert_allclose(metrics[name], whole[1][name], rtol=2e-3, atol=1e-5)
    assert metrics['finite_gradients'].all()


def test_the_step_is_the_losses_written_down(whole):
    """The discriminator's moment after the update and R1's, of the same draws."""
    task_config = tiny.stylegan(train__batch_size=8)
    parts = stylegan.read_parts(task_config)
    tree = begin(tasks.make(task_config), 0, sharding.make_mesh(jax.devices()[:1]))
    states, rng = tree['state'], jax.random.wrap_key_data(tree['rng'])
    keys = jax.random.split(jax.random.fold_in(rng, 0), 4)
    drawn = [stylegan._draw(parts, images(), key) for key in keys]
    generator, discriminator = states['generator'], states['discriminator']

    @jax.jit
    def gradients(params):
        styles, noise = losses.draw(parts, generator.params, drawn[0])
        fake, _ = losses.synthesize(parts, generator.params, generator, styles, noise, keys[0])

        def logits(params, x):
            return parts.discriminator.apply({'params': params}, x)

        def plain(params):
            real, made = logits(params, images()['hq']), logits(params, fake)
            return jax.nn.softplus(-real).mean() + jax.nn.softplus(made).mean()

        def r1(params):
            def score(x):
                return logits(params, (x + 1) / 2).sum()

            slopes = jax.grad(score)(2 * images()['hq'] - 1)
            return jnp.square(slopes).sum(axis=(1, 2, 3)).mean()

        return plain(params), jax.grad(plain)(params), r1(params)

    value, found, _ = gradients(discriminator.params)
    np.testing.assert_allclose(value, whole[1]['discriminator'], rtol=1e-5)
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(found)))
    np.testing.assert_allclose(
        norm, whole[1]['discriminator_optimizer/gradient_norm'], rtol=1e-4
    )


@pytest.mark.slow
def test_regularizers_are_taken_once_in_so_many_updates_and_kept_for_the_log():
    config = tiny.stylegan(loss__r1_every=3, loss__path_every=2, train__batch_size=4)
    task = tasks.make(config)
    mesh = sharding.make_mesh(jax.devices()[:1])
    tree = begin(task, 0, mesh)
    step, seen = sharding.jit_step(task.train_step, mesh), []
    for _ in range(4):
        count = tree['state']['discriminator'].opt_state[2].count
        tree, metrics = step(jax.tree.map(jnp.copy, tree), images(4))
        moved = tree['state']['discriminator'].opt_state[2].count - count
        seen.append([int(moved), *(float(metrics[name]) for name in ('r1', 'path_length'))])
    counts, r1, lengths = map(list, zip(*seen, strict=True))
    assert counts == [2, 1, 1, 2]
    assert r1[0] == r1[1] == r1[2] != r1[3]
    assert lengths[0] == lengths[1] != lengths[2] == lengths[3]
    assert 0 < lengths[0] < lengths[2]


@pytest.mark.slow
def test_without_regularizers_and_mixing_augmented():
    config = tiny.stylegan(loss__r1=0.0, loss__path_length=0.0, loss__style_mixing=0.0)
    config.augmentation.update(target=0.6, start=0.25, images=400, every=2)
    state, metrics = advance(config, images(4), steps=2)
    assert {'r1', 'path_penalty', 'path_length'}.isdisjoint(metrics)
    assert abs(metrics['augmentation/p'] - 0.25) == pytest.approx(2 * 4 / 400)
    assert state['moving'].variables['last'] == {}


def test_the_average_halves_by_images_and_begins_quickly():
    settings = AverageSettings(images=1000, rampup=0.05)
    assert settings.decay(jnp.asarray(0), 10) == 0
    np.testing.assert_allclose(settings.decay(jnp.asarray(100), 10), 0.5 ** (10 / 50), rtol=1e-6)
    np.testing.assert_allclose(settings.decay(jnp.asarray(9000), 10), 0.5**0.01, rtol=1e-6)
    constant = AverageSettings(images=1000, rampup=0).decay(jnp.asarray(0), 10)
    np.testing.assert_allclose(constant, 0.5**0.01, rtol=1e-6)


def test_images_are_drawn_beside_true_ones_and_told_apart(whole):
    config = tiny.stylegan()
    task = tasks.make(config)
    frozen = task.frozen(None, False)
    state = with_frozen(task, whole[0], frozen)
    variables = state['generator'].inference_variables()
    predict = jax.jit(task.predict)
    outputs = jax.device_get(predict(variables, images(6), jax.random.key(0)))
    other = {'hq': images(6)['hq'][::-1]}
    again = jax.device_get(predict(variables, other, jax.random.key(0)))
    np.testing.assert_allclose(outputs['image'], again['image'][::-1], atol=1e-6)
    assert np.abs(outputs['image'][0] - outputs['image'][1]).max() > 0
    batch = jax.device_get(images(6))
    rows, totals = task.evaluation.measure(batch, outputs)
    halves = [
        task.evaluation.measure(
            {'hq': batch['hq'][part]}, {name: x[part] for name, x in outputs.items()}
        )
        for part in (slice(0, 2), slice(2, 6))
    ]
    from sr_jax.tasks.shared.evaluation import add_totals

    parts = add_totals(halves[0][1], halves[1][1])
    jax.tree.map(np.testing.assert_array_equal, parts, totals)
    apart = task.evaluation.summarize(rows, totals)['frechet']
    same = dict.fromkeys(('real', 'fake'), totals['real'])
    assert apart > 1e-3 > 1e-6 > task.evaluation.summarize(rows, same)['frechet']
    assert task.panels(batch, outputs)['samples'][2].shape == (6, 8, 8, 3)


REFUSED = [
    (dict(data__crop_size=16), 'makes images of 8 pixels and 3 channels, but config.data.crop_'),
    (dict(dtype='float16'), "config.dtype='float16' overflows in modulated convolutions: 'bfl"),
    (dict(optimizer__ema_decay=0.9), 'this task averages the generator by config.average.images'),
    (dict(discriminator__size=16), 'takes images of 16 x 16, not 8 x 8'),
    (dict(model__size=12), 'size is 12: the side of the images must be a power of two'),
    (dict(loss__path_decay=1.5), 'config.loss.path_decay must be at most 1'),
    (dict(loss__r1_every=0), 'config.loss.r1_every must be at least 1'),
    (dict(loss__path_every=2**31), r'config.loss: path_every must be under 2\*\*31'),
    (dict(augmentation__every=2**31 + 5), r'config.augmentation: every must be under 2\*\*31'),
    (dict(average__images=0), 'config.average.images must be at least 1'),
    (dict(augmentation__target=1.0), r'config.augmentation.target must be in \[0, 1\)'),
    (dict(features__layer='relu3_4'), "config.features.layer='relu3_4'"),
]


@pytest.mark.parametrize(('changes', 'message'), REFUSED)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(tiny.stylegan(**changes))


def test_another_network_and_a_batch_that_does_not_shrink_are_refused():
    config = tiny.stylegan()
    with config.unlocked():
        config.model = {'name': 'vqvae'}
    with pytest.raises(InputError, match="config.model.name='vqvae': take one of .*stylegan2"):
        tasks.make(config)
    task = tasks.make(tiny.stylegan(loss__path_shrink=3))
    state = jax.eval_shape(task.init, jax.random.key(0), task.batch(1))
    assert len(jax.tree.leaves(parameters(state))) > 30
    with pytest.raises(InputError, match='path_shrink=3 does not divide config.train.batch_size=4'):
        jax.eval_shape(task.train_step, state, task.batch(4), jax.random.key(0))
