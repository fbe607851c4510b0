"""`sr-jax convert`: foreign weights to ours, and ours to the original's names."""

import re
import sys

import jax
import numpy as np
import pytest
from ncnn_files import state_of
from parity import part
from tiny_networks import network

from sr_jax import __main__ as verbs
from sr_jax.inference import exported, networks
from sr_jax.pretrained import files, rrdb


def convert(*arguments):
    return verbs.main(['convert', *map(str, arguments)])


def test_there_and_back(tmp_path, capsys):
    state = state_of(rrdb, network('rrdb').variables)
    files.write_state(tmp_path / 'theirs.safetensors', state, {})
    assert convert(tmp_path / 'theirs.safetensors', '--output', tmp_path / 'ours.safetensors') == 0
    assert 'ours.safetensors: rrdb {"scale": 4, "features": 5' in capsys.readouterr().out
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


def test_a_program(tmp_path, capsys):
    networks.save(tmp_path / 'w.safetensors', net := network('srvgg'))
    program = tmp_path / 'w.stablehlo'
    assert convert(tmp_path / 'w.safetensors', '--output', program, '--size', '5x8') == 0
    shown = capsys.readouterr().out
    assert f'{program}: srvgg {{' in shown and shown.endswith('; for cpu and cuda\n')
    given = np.random.default_rng(0).random((1, 5, 8, 3), np.float32)
    expected = net.module().apply(net.variables, given)
    np.testing.assert_allclose(exported.read_stablehlo(program)(given), expected, atol=1e-5)


def test_files_of_ncnn(tmp_path, capsys):
    networks.save(tmp_path / 'w.safetensors', net := network('srvgg'))
    assert convert(tmp_path / 'w.safetensors', '--output', tmp_path / 'w.param') == 0
    assert 'w.param: srvgg {' in capsys.readouterr().out
    found = networks.load(tmp_path / 'w.param')
    assert found.model == net.model
    jax.tree.map(np.testing.assert_array_equal, found.variables, net.variables)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('o.stablehlo', '--original'), r'o\.stablehlo: --original is for weights'),
        (('o.param', '--original'), r'o\.param: weights are written as \.safetensors'),
        (('o.safetensors', '--size', '5x8'), 'o.safetensors: a --size is for .onnx and'),
        (('o.onnx',), r"o\.onnx: ONNX is written by jax2onnx.*pip install 'sr_jax\[onnx\]'"),
    ],
)
def test_programs_that_cannot_be(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, 'jax2onnx', None)
    networks.save('w.safetensors', network('srvgg'))
    assert convert('w.safetensors', '--output', *arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_bad_input_has_one_message(tmp_path, capsys):
    output = ['--output', tmp_path / 'o.safetensors']
    assert convert(tmp_path / 'none.pth', *output) == 1
    assert 'no such run, file of weights' in capsys.readouterr().err
    networks.save(tmp_path / 's.safetensors', network('switched_sr'))
    assert convert(tmp_path / 's.safetensors', '--original', *output) == 1
    assert 'switched_sr is a network of ours' in capsys.readouterr().err
    assert convert(tmp_path / 's.safetensors', '--output', tmp_path / 'o.pth') == 1
    assert 'weights are written as .safetensors' in capsys.readouterr().err


@pytest.mark.parametrize('scale', [4, 8])
def test_srflow_as_pytorch_writes_it_and_back(golden, scale, tmp_path):
    torch = pytest.importorskip('torch')
    state = part(golden(f'srflow_net_x{scale}'), 'param/')
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    torch.save(tensors, tmp_path / 'theirs.pth')
    assert convert(tmp_path / 'theirs.pth', '--output', tmp_path / 'ours.safetensors') == 0
    assert networks.load(tmp_path / 'ours.safetensors').model['scale'] == scale
    back = tmp_path / 'back.pth'
    assert convert(tmp_path / 'ours.safetensors', '--original', '--output', back) == 0
    found = torch.load(back, weights_only=True)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_pth_without_pytorch_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch', None)
    networks.save(tmp_path / 'w.safetensors', network('rrdb'))
    output = tmp_path / 'o.pth'
    assert convert(tmp_path / 'w.safetensors', '--original', '--output', output) == 1
    assert 'o.pth: checkpoints of PyTorch are written by PyTorch' in capsys.readouterr().err
    assert not output.exists()
