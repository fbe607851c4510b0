"""ESRGAN in one run, over its three phases: pixels, then features, then a discriminator too."""

import json
import math

import jax
import numpy as np
import pytest
import tiny
from saved import restored

from configs import esrgan
from sr_jax.training.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('one_device')]

FEATURES, ADVERSARIAL, STEPS = 150, 250, 400  # the steps at which phases begin, and the last one
WINDOW = 40  # steps of a mean


def config_of(steps=STEPS):
    config = tiny.shrink(esrgan.get_config('phases'))
    config.model.update(features=8, growth=4)
    config.loss.perceptual.start = config.loss.translational.start = FEATURES
    config.loss.adversarial.update(start=ADVERSARIAL, gradient_penalty=0.01)
    for section in (config.optimizer, config.discriminator_optimizer):
        section.update(learning_rate=2e-3, milestones=(300, 360))
    config.optimizer.ema_decay = 0.99
    config.train.steps, config.data.validation_source = steps, ''
    config.evaluation.every = config.log.samples_every = 1000
    config.checkpoint.every = 1000
    return config


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The folder of a run in one go."""
    return tmp_path_factory.mktemp('whole')


@pytest.fixture
def history(whole, one_device):
    """Every metric of every step of that run, which is made once: {name: [STEPS]}."""
    if not (whole / 'metrics.jsonl').exists():
        train(config_of(), whole)
    lines = map(json.loads, (whole / 'metrics.jsonl').read_text().splitlines())
    records = [record for record in lines if record['event'] == 'train']
    assert [record['step'] for record in records] == list(range(1, STEPS + 1))
    return {name: np.array([r[name] for r in records]) for name in records[0] if name != 'event'}


def first(series, start):
    return series[start : start + WINDOW].mean()


def last(series, end):
    return series[end - WINDOW : end].mean()


def test_the_pixels_come_first_and_alone(history):
    pixel = history['pixel']
    assert last(pixel, FEATURES) < 0.6 * first(pixel, 0)
    for name, start in (('perceptual', FEATURES), ('translational', FEATURES)):
        assert not history[name][:start].any()
        assert (history[name][start:] > 0).all()
    np.testing.assert_allclose(history['loss'][:FEATURES], 0.05 * pixel[:FEATURES], rtol=1e-5)


def test_then_the_features_come_nearer(history):
    perceptual, pixel = history['perceptual'], history['pixel']
    assert last(perceptual, ADVERSARIAL) < 0.95 * first(perceptual, FEATURES)
    assert last(pixel, ADVERSARIAL) < 1.2 * last(pixel, FEATURES)
    assert history['translational'][FEATURES:ADVERSARIAL].max() < last(pixel, FEATURES)
    for name in ('adversarial', 'discriminator', 'real_logits', 'fake_logits'):
        assert not history[name][:ADVERSARIAL].any()


def test_then_the_discriminator_learns_and_the_image_stays(history):
    discriminator_loss = history['discriminator'][ADVERSARIAL:]
    # It cannot tell at first.
    assert discriminator_loss[0] == pytest.approx(2 * math.log(2), abs=0.3)
    assert discriminator_loss[-WINDOW:].mean() < 0.8 * discriminator_loss[0]
    assert last(history['real_logits'], STEPS) > last(history['fake_logits'], STEPS) + 0.5
    assert (history['gradient_penalty'][ADVERSARIAL:] > 0).all()
    assert last(history['pixel'], STEPS) < 0.7 * first(history['pixel'], 0)
    weights = {'pixel': 0.05, 'perceptual': 1.0, 'translational': 2.0, 'adversarial': 0.02}
    total = sum(weight * history[name] for name, weight in weights.items())
    np.testing.assert_allclose(history['loss'][ADVERSARIAL:], total[ADVERSARIAL:], rtol=1e-4)


def test_stopping_in_the_middle_of_phases_changes_nothing(history, whole, tmp_path):
    for steps in ((FEATURES + ADVERSARIAL) // 2, (ADVERSARIAL + STEPS) // 2, STEPS):
        train(config_of(steps), tmp_path)
    found, expected = restored(tmp_path, STEPS), restored(whole, STEPS)
    jax.tree.map(np.testing.assert_array_equal, found.tree, expected.tree)
    assert found.data == expected.data
