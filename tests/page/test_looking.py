"""What the page draws of a run as it is kept, the choices of its selectors."""

import numpy as np
import pytest
import seeded
import tiny
from tiny_networks import network

from sr_jax import tasks
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import begin
from sr_jax.config.settings import CheckpointSettings
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks
from sr_jax.page import looking
from sr_jax.page.store import Kept


@pytest.fixture
def draw(tmp_path):
    """Draws a sheet of a network for an image of 21 x 18 pixels; returns it and what it says."""
    image, target = (Kept(name, tmp_path / f'{name}.png', 0.0) for name in ('photo', 'sheet'))
    save_image(image.path, seeded.images(3, 1, 21, 18)[0] / np.float32(255))

    def call(source):
        lines = looking.draw(str(source), image, target)
        return load_image(target.path), lines

    return call


@pytest.mark.usefixtures('one_device')
def test_choices_of_a_switched_run(draw, tmp_path):
    config = tiny.regression()
    switching = dict(layers=('layer_0/conv',), breadth=3, network='standard')
    config.model = dict(name='switched_sr', scale=4, features=5, num_layers=1, switching=switching)
    task, mesh = tasks.make(config), sharding.make_mesh()
    settings = CheckpointSettings(every=1, keep_last=1, keep_best=0, best_metric='mse')
    checkpoints = Checkpoints(tmp_path / 'run', settings)
    checkpoints.save(1, begin(task, 7, mesh), config=config, data=None, metrics=None)
    checkpoints.wait()
    checkpoints.close()
    sheet, (line,) = draw(tmp_path / 'run')
    layer, _, rest = line.partition(': ')
    *shares, perplexity = rest.replace(', perplexity', '').split()
    assert layer == 'layer_0/conv'
    assert len(shares) == 3
    assert sum(int(share.rstrip('%')) for share in shares) == pytest.approx(100, abs=1)
    assert 1 <= float(perplexity) <= 3
    assert sheet.shape[0] >= 21
    assert sheet.std() > 0.05


def test_a_network_that_is_neither_is_refused(draw, tmp_path):
    networks.save(tmp_path / 'rrdb.safetensors', network('rrdb'))
    with pytest.raises(InputError):
        draw(tmp_path / 'rrdb.safetensors')
