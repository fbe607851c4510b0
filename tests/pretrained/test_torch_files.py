"""Checkpoints of PyTorch, read without it: those that it wrote, and what is refused."""

import io
import os
import pathlib
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch_writer
from hypothesis import given
from hypothesis import strategies as st
from torch_writer import Called, Reference, View, unzipped, zipped

from sr_jax.errors import InputError
from sr_jax.pretrained import files, pickles

FIXTURES = pathlib.Path(__file__).parents[1] / 'fixtures'
WRITERS = [zipped, unzipped]


def count(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def read(path, data):
    path.write_bytes(data)
    return files.read_state(path)


# What `torch.save` wrote; tests/fixtures/README.md has how.
SAVED = {
    **{'plain': count(2, 3), 'half': count(4), 'brain': count(3), 'double': count(5)},
    **{'turned': count(2, 5).T, 'cut': count(6, 7)[1:5:2, 2:7:3], 'param': count(7)},
    **{'alike': np.broadcast_to(count(3, 1), (3, 2)), 'tagged': count(8)},
    **{'whole': np.array(3), 'shorts': np.arange(4, dtype=np.uint16)},
}


@pytest.mark.parametrize('kind', ['zip', 'legacy'])
def test_what_pytorch_wrote(kind):
    found = files.read_state(FIXTURES / f'checkpoint_{kind}.pth')
    assert found.keys() == SAVED.keys()
    for name, value in SAVED.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)


@pytest.mark.parametrize('kind', ['zip', 'legacy'])
def test_the_same_as_pytorch_reads(kind):
    torch = pytest.importorskip('torch')
    path = FIXTURES / f'checkpoint_{kind}.pth'
    theirs = torch.load(path, map_location='cpu', weights_only=False)['params_ema']
    for name, value in files.read_state(path).items():
        tensor = theirs[name].detach()
        expected = tensor.float() if tensor.is_floating_point() else tensor
        np.testing.assert_array_equal(value, expected.numpy(), err_msg=name)


@pytest.mark.parametrize('write', WRITERS)
def test_arrays_of_every_type(write, tmp_path):
    kinds = ('f4', 'f8', 'f2', ml_dtypes.bfloat16, 'i8', 'u1')
    state = {str(i): np.arange(i + 1).astype(kind) for i, kind in enumerate(kinds)}
    found = read(tmp_path / 'w.pth', write({'weird': state, 'step': 3, 'rate': 0.5}))
    assert found.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.astype('f4'))
        assert found[name].dtype == (value.dtype if value.dtype.kind in 'iu' else np.float32)


@given(
    st.integers(0, 24),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=3),
    st.sampled_from(WRITERS),
)
def test_views_are_within_their_storages(tmp_path_factory, offset, axes, write):
    storage = count(23)
    shape, strides = (tuple(axis[i] for axis in axes) for i in (0, 1))
    data = write({'a': View(storage, shape, strides, offset), 'b': storage})
    path = tmp_path_factory.mktemp('views') / 'w.pth'
    places = offset + np.tensordot(np.indices(shape), strides, (0, 0)) if axes else np.array(offset)
    if places.size and places.max() >= len(storage):
        with pytest.raises(InputError, match='goes beyond the end of its storage'):
            read(path, data)
    else:
        np.testing.assert_array_equal(read(path, data)['a'], storage[places])


def test_a_storage_is_read_once_for_all_its_arrays(tmp_path, monkeypatch):
    storage, parts = count(6), []
    reader = zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, 'read', lambda self, name: parts.append(name) or reader(self, name)
    )
    found = read(tmp_path / 'w.pth', zipped({'a': storage, 'b': View(storage, (2,), (3,), 1)}))
    np.testing.assert_array_equal(found['b'], storage[1:5:3])
    assert parts.count('archive/data/0') == 1


class Malicious:
    """Would make a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('write', WRITERS)
@pytest.mark.parametrize(
    'name', ['os system', 'builtins eval', 'torch._utils _rebuild_sparse_tensor', 'x \x1b[1m']
)
def test_whatever_else_is_named_is_refused_by_its_name(tmp_path, write, name):
    data = write({'params': {'a': count(2)}, 'x': Called(name, ('true',))})
    with pytest.raises(InputError, match=r'w\.pth: refused: it holds more than arrays') as caught:
        read(tmp_path / 'w.pth', data)
    assert '\x1b' not in str(caught.value)
    assert name.split(' ')[0] in str(caught.value)


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_a_pickle_runs_nothing(tmp_path, protocol):
    data = pickle.dumps({'x': Malicious(tmp_path / 'run')}, protocol)
    with pytest.raises(InputError, match=r'refused: it holds more than arrays \((posix|nt)\.mkdir'):
        pickles.read(io.BytesIO(data))
    # and nothing is called, even where the name is allowed
    note = pickles.read(io.BytesIO(data), {'posix.mkdir', 'nt.mkdir'}).value['x']
    assert note.arguments == (str(tmp_path / 'run'),)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_plain_values_are_what_pickle_makes_of_them(protocol):
    value = {
        **{'text': 'ä' * 300, 'numbers': [1, -1, 300, 2**40, 0.5, True, None], 'none': ()},
        **{'tuples': ((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 'deep': {'a': {1: [{}]}}},
    }
    value['again'] = value['numbers']
    data = io.BytesIO(pickle.dumps(value, protocol) + b'rest')
    assert pickles.read(data).value == value
    assert data.read() == b'rest'


def test_keys_that_hash_for_ever_are_left_out():
    key: tuple = ()
    for _ in range(200):
        key = (key, key)
    steps = b')' + b''.join(b'q%c' % i + b'h%c\x86' % i for i in range(200))
    data = b'\x80\x02}' + steps + b'K\x01s.'
    assert pickles.read(io.BytesIO(data)).value == {}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda data: data[: len(data) // 2], 'damaged'),
        (lambda data: data[:30], 'damaged'),
        (lambda data: b'', 'damaged'),
        (lambda data: b'<html>', 'damaged or not what its suffix says'),
        (lambda data: pickle.dumps(3), 'no checkpoint of PyTorch begins like this'),
    ],
)
@pytest.mark.parametrize('write', WRITERS)
def test_damaged_files_are_named(tmp_path, write, change, message):
    with pytest.raises(InputError, match=rf'w\.pth: .*{message}'):
        read(tmp_path / 'w.pth', change(write({'a': count(50)})))


@pytest.mark.parametrize(
    ('storage', 'message'),
    [
        (Reference('torch FloatStorage', 'missing', 3), 'missing'),
        (Reference('torch FloatStorage', ((),), 3), 'a storage of a kind'),
        (Reference('torch Size', '0', 3), 'damaged'),
        ('0', 'damaged'),
    ],
)
def test_storages_that_are_not_there(tmp_path, storage, message):
    array = Called('torch._utils _rebuild_tensor_v2', (storage, 0, (2,), (1,), False, {}))
    for write in WRITERS:
        with pytest.raises(InputError, match=rf'w\.pth: .*{message}'):
            read(tmp_path / 'w.pth', write({'a': array}))


def test_other_types_are_named(tmp_path):
    reference = Reference('torch.storage UntypedStorage', '0', 3)
    kind = torch_writer.Named('torch float8_e4m3fn')
    array = Called('torch._utils _rebuild_tensor_v3', (reference, 0, (3,), (1,), False, {}, kind))
    with pytest.raises(InputError, match=r'w\.pth: arrays of the type float8_e4m3fn are not read'):
        read(tmp_path / 'w.pth', zipped({'a': array}))
