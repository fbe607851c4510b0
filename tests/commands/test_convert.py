"""`sr-jax convert`: foreign weights to ours, and ours to the original's names."""

import numpy as np
import pytest
from ncnn_files import state_of
from tiny_networks import network

from sr_jax import __main__ as verbs
from sr_jax import networks
from sr_jax.pretrained import files, rrdb


def convert(*arguments):
    return verbs.main(['convert', *map(str, arguments)])


def test_there_and_back(tmp_path, capsys):
    state = state_of(rrdb, network('rrdb').variables)
    files.write_state(tmp_path / 'theirs.safetensors', state, {})
    assert convert(tmp_path / 'theirs.safetensors', '--output', tmp_path / 'ours.safetensors') == 0
    assert 'ours.safetensors: rrdb {"scale": 4, "features": 4' in capsys.readouterr().out
    assert networks.METADATA in files.read_metadata(tmp_path / 'ours.safetensors')
    back = tmp_path / 'back.safetensors'
    assert convert(tmp_path / 'ours.safetensors', '--original', '--output', back) == 0
    found = files.read_state(back)
    assert found.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize('original', [False, True])
def test_a_run_of_ours(finished, tmp_path, original):
    output = tmp_path / 'w.safetensors'
    flags = ['--original'] if original else []
    assert convert(finished[0], *flags, '--output', output) == 0
    assert networks.load(output).model['name'] == 'vqvae'


def test_bad_input_has_one_message(tmp_path, capsys):
    output = ['--output', tmp_path / 'o.safetensors']
    assert convert(tmp_path / 'none.pth', *output) == 1
    assert 'no such run, file of weights' in capsys.readouterr().err
    networks.save(tmp_path / 's.safetensors', network('switched_sr'))
    assert convert(tmp_path / 's.safetensors', '--original', *output) == 1
    assert 'switched_sr is a network of ours' in capsys.readouterr().err
    assert convert(tmp_path / 's.safetensors', '--output', tmp_path / 'o.pth') == 1
    assert 'weights are written as .safetensors' in capsys.readouterr().err
