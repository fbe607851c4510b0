"""ESRGAN from its config to images: trained, stopped, resumed, started from, evaluated."""

import json

import jax
import numpy as np
import pytest
import tiny
from PIL import Image
from saved import restored

from sr_jax import __main__ as verbs
from sr_jax import tasks
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import abstract_tree, resume_or_init
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.models import discriminators
from sr_jax.training.loop import train
from sr_jax.training.settings import read_settings, resolve

pytestmark = pytest.mark.usefixtures('one_device')


def config_of(**changes):
    """Features first, from the second step on a discriminator too."""
    config = tiny.gan(train__steps=2, train__batch_size=2, data__validation_crops=2)
    config.model = dict(name='srresnet', scale=4, features=4, num_blocks=1)
    config.discriminator = dict(name='discriminators', batch_norm=True)
    config.loss.perceptual.update(weight=0.1, weights='random')
    config.loss.perceptual.layers = dict(conv1_1=1.0)
    config.loss.adversarial.start = 1
    config.evaluation.update(every=4, batch_size=2)
    config.checkpoint.update(every=1, keep_last=9)
    config.log.samples = 2
    return tiny.changed(config, **changes)


@pytest.fixture(autouse=True)
def _small_discriminators(monkeypatch):
    monkeypatch.setattr(discriminators, 'Model', tiny.TinyDiscriminator)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A run of regression, and one against a discriminator that starts from it."""
    folder = tmp_path_factory.mktemp('gan')
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_mesh, one = sharding.make_mesh, jax.devices()[:1]
        monkeypatch.setattr(
            sharding, 'make_mesh', lambda devices=None, **axes: make_mesh(devices or one, **axes)
        )
        monkeypatch.setattr(discriminators, 'Model', tiny.TinyDiscriminator)
        pixels = tiny.regression(train__steps=1, train__batch_size=2, data__crop_size=32)
        pixels.evaluation.update(every=4, batch_size=2)
        train(pixels, folder / 'pixels')
        train(config_of(train__start_from=str(folder / 'pixels')), folder / 'run')
    return folder


@pytest.mark.slow
def test_a_run_starts_from_the_generator_of_another(finished, tmp_path, capsys):
    config, mesh = config_of(train__start_from=str(finished / 'pixels')), sharding.make_mesh()
    checkpoints = Checkpoints(tmp_path, read_settings(config).checkpoint)
    tree, step, _ = resume_or_init(
        checkpoints, config, tasks.make(config), mesh, networks.load, print
    )
    checkpoints.close()
    assert step == 0
    assert 'begins with the network of' in capsys.readouterr().out
    ours, theirs = tree['state'], restored(finished / 'pixels', 1).tree['state']
    assert set(ours) == {'generator', 'discriminator'}
    for name in ('params', 'ema_params'):
        found = getattr(ours['generator'], name)
        jax.tree.map(np.testing.assert_array_equal, found, theirs.params)


@pytest.mark.slow
def test_going_on_is_bit_for_bit_the_same(finished, tmp_path):
    start = {'train__start_from': str(finished / 'pixels')}
    train(config_of(train__steps=1, **start), tmp_path)
    train(config_of(**start), tmp_path)
    resumed, expected = restored(tmp_path, 2), restored(finished / 'run', 2)
    jax.tree.map(np.testing.assert_array_equal, resumed.tree, expected.tree)


def test_every_term_is_logged_and_samples_drawn(finished):
    lines = (finished / 'run' / 'metrics.jsonl').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    first, second = (record for record in records if record['event'] == 'train')
    for name in ('adversarial', 'discriminator', 'discriminator_optimizer/gradient_norm'):
        assert (first[name], second[name] > 0) == (0, True)
    assert first['perceptual'] > 0
    (samples,) = (finished / 'run' / 'samples').iterdir()
    with Image.open(samples) as sheet:
        assert sheet.width >= 3 * 32


def test_a_checkpoint_serves_without_the_weights_of_the_feature_network(finished, tmp_path, capsys):
    assert verbs.main(['evaluate', str(finished / 'run')]) == 0
    assert 'psnr_y_matlab_crop0' in capsys.readouterr().out
    missing = {'loss__perceptual__weights': str(tmp_path / 'missing.safetensors')}
    with pytest.raises(InputError, match='missing.safetensors'):
        train(config_of(train__steps=3, **missing), finished / 'run')
    config = config_of(**missing)
    mesh = sharding.make_mesh()
    abstract_tree(tasks.make(config), mesh)  # asks for no file


def test_another_discriminator_is_refused(finished):
    with pytest.raises(InputError, match=r'config\.discriminator\.batch_norm: True -> False'):
        train(config_of(discriminator__batch_norm=False), finished / 'run')


def test_a_large_batch_is_fitted_with_the_frozen_weights_there(capsys):
    config = config_of(train__effective_batch_size=2, train__memory_limit=2**40)
    assert resolve(config, sharding.make_mesh(), networks.load, print).train.batch_size == 2
    assert 'chosen for 2 images an update' in capsys.readouterr().out
