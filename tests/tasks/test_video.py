"""The video task: its losses, its discriminator's rest, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import changed, video

from sr_jax import tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.tasks import video as task_of
from sr_jax.tasks.shared import clips


@pytest.fixture(scope='module')
def parts():
    return task_of.read_parts(video())


@pytest.fixture(scope='module')
def states(parts):
    batch = {'hq': jnp.zeros((1, 3, 32, 32, 3))}
    return jax.jit(draw_in_loops(functools.partial(task_of.init, parts)))(jax.random.key(0), batch)


def hq(n=2, t=3):
    return np.random.default_rng(0).random((n, t, 32, 32, 3), np.float32)


@pytest.fixture(scope='module')
def loss(parts):
    def compute(states, batch):
        state = states['generator']
        key = jax.random.key(0)
        return task_of.generator_loss(parts, states, state.params, state, batch, key)

    return jax.jit(compute)


def test_the_terms_are_what_their_names_say(parts, states, loss):
    total, (terms, _, shown) = loss(states, {'hq': hq()})
    lq = clips.ping_pong(clips.degrade_clips(hq(), 4, parts.degradation))
    variables = {'params': states['generator'].params}
    images, motions = jax.jit(
        lambda variables, lq: clips.enlarge_clip(parts.generator, variables, lq)
    )(variables, lq)
    truth = clips.ping_pong(hq())
    assert float(terms['pixel']) == pytest.approx(np.square(images - truth).mean(), rel=1e-4)
    difference = np.abs(images[:, :2] - images[:, :2:-1]).mean()
    assert float(terms['ping_pong']) == pytest.approx(difference, rel=1e-4)
    warped = jax.jit(clips.move_to_next)(lq, motions)
    assert float(terms['warp']) == pytest.approx(np.square(warped - lq[:, 1:]).mean(), rel=1e-4)
    weights = {'pixel': 12, 'warp': 3, 'ping_pong': 1, 'adversarial': 0.1, 'blocks': 1}
    assert set(terms) == set(weights)
    expected = sum(weight * float(terms[name]) for name, weight in weights.items())
    assert float(total) == pytest.approx(expected, rel=1e-5)
    assert shown['fake'].shape == (2 * 1, 32, 32, 27)


@pytest.mark.parametrize(('average', 'learns'), [(0.3, True), (0.5, False)])
def test_the_discriminator_rests_while_its_average_is_too_good(update, states, average, learns):
    state = states['discriminator']
    state = state.replace(
        variables={**state.variables, task_of.BALANCE: {'average': jnp.float32(average)}}
    )
    random = np.random.default_rng(1)
    shown = {kind: random.random((2, 32, 32, 27), np.float32) for kind in ('real', 'fake')}
    new, metrics = update(state, shown, jax.random.key(0))
    same = np.array_equal(new.params['last']['kernel'], state.params['last']['kernel'])
    assert same is not learns and metrics['discriminator/learns'] == learns
    found = new.variables[task_of.BALANCE]['average']
    expected = 0.99 * average + 0.01 * metrics['balance']
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.fixture(scope='module')
def update(parts):
    return jax.jit(functools.partial(task_of._update_discriminator, parts))


def test_single_frames_are_clips_of_one(parts, states):
    config = video(
        data__frames=1,
        loss__warp__weight=0.0,
        loss__ping_pong__weight=0.0,
        loss__adversarial__weight=0.0,
        loss__blocks__weight=0.0,
    )
    config.discriminator.name = ''
    task = tasks.make(config)
    variables = {'params': states['generator'].params}
    given = {'lq': hq(t=1)[:, :, :8, :9]}
    outputs = jax.jit(task.predict)(variables, given, jax.random.key(0))
    image = jax.jit(parts.generator.apply)(variables, given['lq'][:, 0])
    np.testing.assert_allclose(outputs['image'][:, 0], np.clip(image, 0, 1), atol=1e-5)
    (row,), _ = task.evaluation.measure(
        {'hq': hq(1, 1)}, {'image': hq(1, 1) * 0.5, 'lq': given['lq']}
    )
    assert set(row) == {'mse', 'psnr_y_matlab_crop0', 'ssim_y_matlab_crop0'}


def test_clips_are_measured_in_time(parts):
    evaluation = tasks.make(video()).evaluation
    images = hq(2)
    rows, totals = evaluation.measure({'hq': hq(2)}, {'image': images})
    found = evaluation.summarize(rows, totals)
    assert (found['clips'], found['mse'], found['t_of'], found['drift']) == (2, 0, 0, 0)
    images[1, 2] *= 0.5
    (_, row), _ = evaluation.measure({'hq': hq(2)}, {'image': images})
    assert row['drift'] > 0 and row['t_of'] > 0
    assert all(
        value is False
        for name, value in evaluation.higher_is_better.items()
        if name in ('t_of', 'flicker', 'warping_error', 'drift')
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'data__source': 'photos'}, "'photos' holds single images"),
        ({'data__crop_size': 30}, 'crop_size=30 is no multiple of config.model.scale=4'),
        ({'data__frames': 1}, 'loss.warp has a weight, so it needs clips of at least 2 frames'),
        (
            {'data__frames': 2, 'loss__ping_pong__weight': 0.0},
            'loss.adversarial has a weight, so it needs clips of at least 3 frames',
        ),
        ({'discriminator__name': ''}, 'loss.adversarial has a weight, so it needs a config.disc'),
        ({'degradation': {'name': 'paired'}}, "'paired' is for single images"),
        ({'loss__adversarial__crop': 0.0}, r'crop must lie in \(0, 1\]'),
    ],
)
def test_what_does_not_fit_is_told(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(changed(video(), **changes))


def test_a_network_that_remembers_nothing_is_refused():
    with pytest.raises(InputError, match='RRDBNet is not recurrent: take frvsr'):
        config = defaults('video', model='rrdb')
        config.data.source = 'moving:photos'
        tasks.make(config)
    config = defaults('video', model='frvsr', discriminator='discriminators')
    config.data.update(source='moving:photos', frames=3)
    with pytest.raises(InputError, match="'discriminators' does not judge clips"):
        tasks.make(config)
