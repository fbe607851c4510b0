"""Real-ESRGAN's recipe from its config to an image: with its degradation and its discriminator."""

import json

import jax
import numpy as np
import pytest
import tiny
from saved import restored

from configs import esrgan
from sr_jax import __main__ as verbs
from sr_jax.images.files import image_size, save_image
from sr_jax.training.loop import train

pytestmark = pytest.mark.usefixtures('one_device')

STEPS = 3


def config_of(steps=STEPS):
    config = tiny.shrink(esrgan.get_config('real'))
    config.data.update(validation_source='', validation_crops=2, crop_size=16)
    config.train.update(steps=steps, batch_size=2, start_from='')
    config.evaluation.update(every=10, batch_size=2)
    config.checkpoint.update(every=10)
    config.log.update(every=1, samples=0)
    return config


@pytest.mark.slow
def test_the_recipe_runs_resumes_exactly_and_makes_an_image(tmp_path):
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    result = train(config_of(), whole)
    assert np.isfinite(result.metrics['mse'])
    lines = map(json.loads, (whole / 'metrics.jsonl').read_text().splitlines())
    records = [record for record in lines if record['event'] == 'train']
    weights = {'pixel': 1.0, 'perceptual': 1.0, 'adversarial': 0.1}
    for record in records:
        total = sum(weight * record[name] for name, weight in weights.items())
        assert record['loss'] == pytest.approx(total, rel=1e-5)
    assert records[0]['discriminator'] == pytest.approx(2 * np.log(2), abs=0.1)
    for steps in (STEPS - 2, STEPS):
        train(config_of(steps), parts)
    found, expected = restored(parts, STEPS), restored(whole, STEPS)
    jax.tree.map(np.testing.assert_array_equal, found.tree, expected.tree)
    collections = expected.tree['state'].variables['discriminator']
    assert set(collections) == {'spectral_norm'}
    image, large = tmp_path / 'small.png', tmp_path / 'large.png'
    save_image(image, np.full((10, 12, 3), 0.5, np.float32))
    arguments = ['upscale', str(image), '--weights', str(whole), '--output', str(large)]
    assert verbs.main(arguments) == 0
    assert image_size(large) == (40, 48)
