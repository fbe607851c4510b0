"""Recognising, reading and writing the weights that FID takes."""

import jax
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.models.inception import Model
from sr_jax.pretrained import files, inception


@pytest.fixture(scope='module')
def state():
    """A state dictionary by pytorch-fid's names; values without memory behind them."""
    shapes = jax.eval_shape(Model().init, jax.random.key(0), Model().example(1))
    zeros = jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), shapes)
    found = inception.to_torch(zeros)
    for name in list(found):
        if name.endswith('bn.weight'):
            found[f'{name.removesuffix("weight")}num_batches_tracked'] = np.int64(0)
    classifier = np.broadcast_to(np.float32(0), (1008, 2048))
    return {**found, 'fc.weight': classifier, 'fc.bias': classifier[:, 0]}


def test_names_and_shapes_are_those_of_the_file(state):
    """A few of the 94 layers of pt_inception-2015-12-05."""
    assert sum(name.endswith('.conv.weight') for name in state) == 94
    assert state['Conv2d_1a_3x3.conv.weight'].shape == (32, 3, 3, 3)
    assert state['Mixed_5b.branch5x5_2.conv.weight'].shape == (64, 48, 5, 5)
    assert state['Mixed_6b.branch7x7dbl_2.conv.weight'].shape == (128, 128, 7, 1)
    assert state['Mixed_6e.branch7x7_2.conv.weight'].shape == (192, 192, 1, 7)
    assert state['Mixed_7a.branch7x7x3_4.bn.running_var'].shape == (192,)
    assert state['Mixed_7c.branch3x3dbl_3b.conv.weight'].shape == (384, 384, 3, 1)


def test_a_file_of_them_is_recognised(state, tmp_path):
    path = tmp_path / 'fid.safetensors'
    marked = {**state, 'Mixed_7c.branch_pool.bn.running_var': np.full(192, 3, np.float32)}
    files.write_state(path, marked, {})
    found = networks.load(path)
    assert found.model == {'name': 'inception'}
    assert found.variables['batch_stats']['Mixed_7c']['branch_pool']['bn']['var'][0] == 3
    wanted = {k: v for k, v in marked.items() if 'tracked' not in k and not k.startswith('fc.')}
    back = inception.to_torch(found.variables)
    assert back.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'fc.weight': np.zeros((1000, 2048))}, "torchvision's InceptionV3, not of the FID"),
        ({'AuxLogits.fc.weight': np.zeros((1, 1))}, "torchvision's InceptionV3, not of the FID"),
        ({'Mixed_9z.other': np.zeros(1)}, r"unknown \['Mixed_9z.other'\]"),
        ({'Mixed_7c.branch1x1.bn.bias': None}, r"missing \['Mixed_7c.branch1x1.bn.bias'\]"),
    ],
)
def test_other_weights_are_refused(state, change, message):
    changed = {k: v for k, v in {**state, **change}.items() if v is not None}
    with pytest.raises(InputError, match=message):
        inception.from_torch(changed)


def test_a_missing_layer_and_another_shape_are_named(state, tmp_path, monkeypatch):
    path = tmp_path / 'fid.pth'
    path.touch()
    for name, drop in (('Mixed_5c.branch1x1', True), ('Conv2d_3b_1x1', False)):
        changed = {k: v for k, v in state.items() if not (drop and k.startswith(f'{name}.'))}
        if not drop:
            changed[f'{name}.conv.weight'] = np.zeros((80, 63, 1, 1), np.float32)
        monkeypatch.setattr(files, 'read_state', lambda path, changed=changed: changed)
        with pytest.raises(InputError, match='inception does not fit: .*' + name.replace('.', '/')):
            networks.load(path)
