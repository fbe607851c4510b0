"""SRFlow from its config to samples: an encoder, a flow that begins with it, and the verbs."""

import json

import jax
import numpy as np
import pytest
import tiny
from PIL import Image
from tiny_networks import network

from sr_jax import __main__ as verbs
from sr_jax.checkpoints.run import load_run
from sr_jax.errors import InputError
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks
from sr_jax.inference.flow_report import Flow, report
from sr_jax.models.srflow import Encoding
from sr_jax.pretrained import files
from sr_jax.training.loop import train

pytestmark = pytest.mark.usefixtures('one_device')


def encoder():
    return tiny.shrink(tiny.srflow_config.get_config('encoder'))


def config_of(**changes):
    """The numbers of `documented.small`, so that what the documentation compiles is found."""
    return tiny.flow(checkpoint__every=1, checkpoint__keep_last=9, **changes)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A folder with a run of an encoder, and one of a flow that begins with it."""
    folder = tmp_path_factory.mktemp('flow')
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        train(encoder(), folder / 'encoder')
        result = train(config_of(train__start_from=str(folder / 'encoder')), folder / 'run')
    assert np.isfinite(result.metrics['bits_per_dimension'])
    return folder


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'odd.png'
    pixels = np.random.default_rng(0).random((21, 17, 3), np.float32)
    save_image(path, pixels)
    return path


def test_the_flow_begins_with_the_encoder_and_leaves_it_at_rest(finished):
    encoder = load_run(finished / 'encoder').variables['params']
    flow = load_run(finished / 'run').variables['params']
    for a, b in zip(jax.tree.leaves(encoder), jax.tree.leaves(flow['rrdb']), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_run_that_was_stopped_resumes_exactly(finished, tmp_path):
    begin = {'train__start_from': str(finished / 'encoder')}
    train(config_of(**begin, train__steps=1), tmp_path)
    train(config_of(**begin), tmp_path)
    runs = (load_run(run).variables for run in (finished / 'run', tmp_path))
    for a, b in zip(*map(jax.tree.leaves, runs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples(finished, image, tmp_path, capsys):
    command = ['upscale', str(image), '--weights', str(finished / 'run'), '--temperature', '0.8']
    command += ['--seed', '1']
    assert verbs.main([*command, '--samples', '3', '--output', str(tmp_path / 'a')]) == 0
    drawn = [load_image(tmp_path / 'a' / f'odd_{i}.png') for i in range(3)]
    assert drawn[0].shape == (84, 68, 3)
    assert np.abs(drawn[0] - drawn[1]).max() > 0.01 < np.abs(drawn[1] - drawn[2]).max()
    assert verbs.main([*command, '--output', str(tmp_path / 'one.png')]) == 0
    np.testing.assert_array_equal(load_image(tmp_path / 'one.png'), drawn[0])
    several = ['--samples', '2', '--output', str(tmp_path / 'one.png')]
    assert verbs.main([*command, *several]) == 1
    assert 'is one file, but there are 2 samples' in capsys.readouterr().err
    assert verbs.main([*command[:-4], '--samples', '2']) == 1
    assert 'there must be a --temperature' in capsys.readouterr().err


def test_the_benchmark_tells_the_diversity(finished, image, tmp_path, capsys):
    command = ['benchmark', f'folder:{image.parent}', '--weights', str(finished / 'run')]
    command += ['--protocol', 'rgb_crop0', '--temperature', '0.8']
    command += ['--json', str(tmp_path / 'a.json')]
    assert verbs.main([*command, '--samples', '2']) == 0
    mean = json.loads((tmp_path / 'a.json').read_text())['mean']
    assert mean['result']['diversity'] > 0.1
    assert {'lq_psnr_rgb_crop0', 'psnr_rgb_crop0'} <= mean['result'].keys()
    assert 'diversity' in capsys.readouterr().out


@pytest.mark.slow
def test_report(finished, image, tmp_path, capsys):
    output = tmp_path / 'report'
    command = ['flow-report', str(finished / 'run'), '--output', str(output)]
    assert verbs.main([*command, str(image), '--temperatures', '0.5', '1']) == 0
    with Image.open(output / 'odd.png') as sheet:
        assert sheet.width >= 4 * 16
        assert sheet.height >= 3 * 16
    numbers = json.loads((output / 'odd.json').read_text())
    assert set(numbers['psnr_rgb_crop0_by_temperature']) == {'0', '0.5', '1'}
    assert numbers['latents']['latents 0']['numbers'] == 8 * 8 * 6
    assert set(numbers['latents']) == {'latents 0', 'latents 1'}
    assert 'bits per dimension' in capsys.readouterr().out
    save_image(tmp_path / 'small.png', np.zeros((7, 30, 3), np.float32))
    assert verbs.main([*command, str(tmp_path / 'small.png')]) == 1
    assert 'small.png: under 8 pixels a side' in capsys.readouterr().err
    assert verbs.main([*command, str(image), '--temperatures', '-1']) == 1
    assert 'none may be negative' in capsys.readouterr().err
    assert verbs.main(['flow-report', str(finished / 'encoder'), str(image)]) == 1
    assert "the kind 'rrdb', which has no latents" in capsys.readouterr().err


def test_a_report_of_what_is_not_finite_is_an_error():
    flow, lq = Flow(network('srflow')), np.zeros((4, 6, 3), np.float32)
    flow.sample = lambda lq, latents: np.full((16, 24, 3), np.inf, np.float32)
    with pytest.raises(InputError, match=r'srflow draws at temperature 0\.5 .* not finite'):
        flow.draw(lq, 0.5, 0)
    flow.encode = lambda lq, hq: Encoding((np.zeros(3),), np.array([-np.inf]), {})
    with pytest.raises(InputError, match='srflow makes of the true image .* not finite'):
        report(flow, np.zeros((16, 24, 3), np.float32), [0.5], 0)


def test_weights_go_out_by_the_original_names_and_come_back(finished, tmp_path):
    ours, theirs = tmp_path / 'ours.safetensors', tmp_path / 'theirs.safetensors'
    convert = ['convert', str(finished / 'run'), '--output']
    assert verbs.main([*convert, str(ours)]) == 0
    assert verbs.main([*convert, str(theirs), '--original']) == 0
    assert 'flowUpsamplerNet.layers.1.invconv.weight' in files.read_state(theirs)
    loaded = [networks.load(path) for path in (ours, theirs)]
    assert loaded[1].model['name'] == 'srflow'
    for a, b in zip(*(jax.tree.leaves(net.variables) for net in loaded), strict=True):
        np.testing.assert_array_equal(a, b)
