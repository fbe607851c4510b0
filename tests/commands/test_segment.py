"""`sr-jax segment`: masks drawn, and written as they are; what is no segmenter is refused.

A network of a few lines stands in for a run's; tests/test_documentation.py segments by a run.
"""

import types

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sr_jax import __main__ as verbs
from sr_jax.commands.shared import seeing
from sr_jax.config.defaults import defaults
from sr_jax.images.files import load_image, save_image
from sr_jax.images.segments import overlay
from sr_jax.inference import networks

IMAGE = np.random.default_rng(0).random((19, 26, 3), np.float32)


def predict(variables, batch, key):
    """The class of a pixel is how bright it is."""
    return {'segments': (3.99 * batch['hq'].mean(axis=-1)).astype(jnp.int32)}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that segments an image, by a run of a task."""
    save_image(tmp_path / 'given.png', IMAGE)

    def run(*words, task='segmentation'):
        config = defaults('segmentation', model='unet')
        config.task, config.model.classes = task, 4
        found = types.SimpleNamespace(
            config=config, task=types.SimpleNamespace(predict=predict), variables={}
        )

        def load_run(path, best, mesh, load):
            assert load is networks.load  # of what the run predicts with beside its own
            return found

        monkeypatch.setattr(seeing, 'load_run', load_run)
        return verbs.main(['segment', 'runs/x', str(tmp_path / 'given.png'), *words])

    return run


def test_masks_are_drawn_beside_the_image_and_written_as_numbers(run, tmp_path, capsys):
    assert run('--output', str(tmp_path / 'drawn')) == 0
    assert run('--output', str(tmp_path / 'masks'), '--masks') == 0
    image = load_image(tmp_path / 'given.png')
    with Image.open(tmp_path / 'masks' / 'given.png') as file:
        mask = np.asarray(file)
    np.testing.assert_array_equal(mask, (3.99 * image.mean(axis=-1)).astype(int))
    drawn = load_image(tmp_path / 'drawn' / 'given.png')
    np.testing.assert_array_equal(drawn[:, :26], image)
    np.testing.assert_allclose(drawn[:, 28:], overlay(image, mask, 4), atol=1 / 255)
    shares = np.bincount(mask.ravel()) / mask.size
    first = shares.argmax()
    assert f'given.png  class {first} {shares[first]:.1%}' in capsys.readouterr().out


def test_a_run_that_does_not_segment_is_refused(run, tmp_path, capsys):
    assert run('--output', str(tmp_path / 'out'), task='vqvae') == 1
    assert "a run of the task 'vqvae', which tells no classes" in capsys.readouterr().err
