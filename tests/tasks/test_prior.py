"""The prior's task: what a config must say, classes that are told or not, and microbatches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny_networks import drawn

from sr_jax import tasks
from sr_jax.errors import InputError
from sr_jax.tasks import prior as task
from sr_jax.tasks.task import TrainState, parameters, with_frozen

STAGE_1 = {'name': 'vqvae', **tiny.NETWORKS['vqvae'], 'bottom_codebook_size': 11}


def load(source):
    return drawn(STAGE_1, source)


def completed(**changes):
    config = tiny.prior(**changes)
    task.complete(config, load)
    return config


def test_what_is_0_is_filled_in_from_the_stage_1():
    config = completed(bottom__height=4)
    found = [dict(config[section]) for section in ('model', 'bottom')]
    assert [(n['codes'], n['height'], n['width']) for n in found] == [(16, 2, 2), (11, 4, 4)]
    assert found[1]['condition_codes'] == 16
    tasks.make(config).frozen(load, True)  # and so it fits


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__height=3), r'config\.model is for maps of 3 x 0 codes, but .* have 2 x 2'),
        (dict(bottom__num_condition_layers=0), 'of the bottom level must see the codes above'),
        (dict(model__num_condition_layers=1), 'of the top level cannot see the codes above'),
        (dict(loss__levels='upper'), r"config\.loss\.levels='upper': "),
        (dict(loss__label_dropout=1.5), r'label_dropout must be in \[0, 1\]'),
        (dict(data__crop_size=12), 'crop_size=12 must be a multiple of 8'),
        (dict(bottom__classes=3), r'config\.model\.classes=0 and config\.bottom\.classes=3: both'),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(tiny.prior(**changes))


def test_another_codebook_is_named():
    config = completed()
    config.bottom.condition_codes = 12
    message = r'config\.bottom\.condition_codes=12, but the codebook of the top level of .* 16 cod'
    with pytest.raises(InputError, match=message):
        tasks.make(config).frozen(load, True)
    config = completed()
    config.stage_1.fingerprint = 'another'
    with pytest.raises(InputError, match='the run is of a stage 1 with the fingerprint another'):
        tasks.make(config).frozen(load, False)


def test_the_class_is_told_but_for_the_share_that_is_dropped():
    config = completed(model__classes=3, bottom__classes=3, model__dropout=0.0)
    batch = tasks.make(config).batch(5)
    assert {name: x.shape for name, x in batch.items()} == {'hq': (5, 16, 16, 3), 'label': (5,)}
    rng = np.random.default_rng(0)
    codes = rng.integers(16, size=(5, 2, 2)).astype(np.int32)
    given = {'top': codes, 'label': np.arange(5, dtype=np.int32) % 3}
    prior = task.read_parts(config).priors['top']

    @jax.jit
    def run(key):
        params = prior.init(key, codes)['params']
        params = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(key, x.shape), params)
        state = TrainState(jnp.zeros((), jnp.int32), params, {}, None)
        losses = []
        for share in (0.0, 1.0):
            loss = task.LossSettings(label_dropout=share)
            parts = task.read_parts(config)._replace(loss=loss)
            losses.append(task.compute_loss(parts, 'top', params, state, given, key)[0])
        logits = [prior.apply({'params': params}, codes, None, x) for x in (given['label'], None)]
        return losses, [task.count_bits(x, codes).mean() / 4 * jnp.log(2) for x in logits]

    losses, expected = jax.device_get(run(jax.random.key(0)))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert abs(losses[0] - losses[1]) > 1e-4


@pytest.mark.parametrize(('levels', 'section'), [('both', 'model'), ('bottom', 'bottom')])
def test_a_class_of_the_data_that_is_not_known_is_named(levels, section):
    config = completed(model__classes=3, bottom__classes=3, loss__levels=levels)
    one = tasks.make(config)
    known = {'label': np.arange(3)}
    assert one.check(known) is known
    for label in (3, -1):
        message = rf'the data has the class {label}, but config\.{section}\.classes=3 .* 0 to 2'
        with pytest.raises(InputError, match=message):
            one.check({'label': np.asarray([2, label, 7])})
    assert tasks.make(completed()).check({'label': np.asarray([7])})  # nobody asks for it


@pytest.mark.slow
def test_microbatches_are_one_batch():
    batch = {'hq': tiny.images(4)}
    found = []
    for accumulation in (1, 2):
        config = completed(model__dropout=0.0, bottom__dropout=0.0, optimizer__name='lion')
        config.train.update(batch_size=4 // accumulation, accumulation=accumulation)
        one = tasks.make(config)

        @jax.jit
        def run(key, one=one):
            state = with_frozen(one, one.init(key, batch), one.frozen(load, True))
            state, metrics = one.train_step(state, batch, key)
            return parameters(state), metrics

        found.append(jax.device_get(run(jax.random.key(0))))
    (first, metrics), (second, others) = found
    assert metrics['loss'] == pytest.approx(others['loss'], rel=1e-5)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert np.mean(np.abs(a - b) > 1e-5) < 0.02  # a sign of what is nearly zero may change
