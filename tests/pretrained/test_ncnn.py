"""Networks in ncnn's files: read as what they are, refused where they are another, and written."""

import itertools
import re

import jax
import numpy as np
import pytest
from ncnn_files import Style, state_of, write_rrdb, write_srvgg
from tiny_networks import SMALL, drawn, network

from sr_jax.errors import InputError
from sr_jax.pretrained import files, ncnn, ncnn_writer, recognition, rrdb, srvgg


@pytest.fixture(scope='module')
def rrdb_state():
    return state_of(rrdb, network('rrdb').variables)


@pytest.fixture(scope='module')
def srvgg_state():
    return state_of(srvgg, network('srvgg').variables)


def assert_same(found, expected, rtol=0.0):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=rtol, err_msg=name)


def test_rrdbnet(tmp_path, rrdb_state):
    param = write_rrdb(tmp_path, rrdb_state, 1)
    assert_same(files.read_state(param), rrdb_state)
    assert_same(files.read_state(param.with_suffix('.bin')), rrdb_state)


def test_weights_of_sixteen_bits(tmp_path, rrdb_state):
    found = files.read_state(write_rrdb(tmp_path, rrdb_state, 1, Style(half=True)))
    assert_same(found, rrdb_state, rtol=1e-3)


def test_srvgg(tmp_path, srvgg_state):
    assert_same(files.read_state(write_srvgg(tmp_path, srvgg_state, 1, 2)), srvgg_state)


@pytest.mark.parametrize('clip', ['', 'layer', 'convolution'])
def test_whichever_converter_wrote_it(tmp_path, rrdb_state, clip):
    for twins, apart, products, exchanged in itertools.product((False, True), repeat=4):
        style = Style(False, twins, apart, products, exchanged, clip)
        assert_same(files.read_state(write_rrdb(tmp_path, rrdb_state, 1, style)), rrdb_state)


def test_a_network_that_goes_on_is_refused(tmp_path, srvgg_state):
    param = write_srvgg(tmp_path, srvgg_state, 1, 2, [('Interp', '0=3 1=5.0e-01 2=5.0e-01')])
    with pytest.raises(InputError, match='goes on with layer 9, Interp: take the one that does'):
        files.read_state(param)
    param = write_srvgg(tmp_path, srvgg_state, 1, 2, [('Clip', '0=0 1=2')])
    with pytest.raises(InputError, match='goes on with layer 9, Clip$'):
        files.read_state(param)
    param.write_text(re.sub('\n(BinaryOp|Clip)', '\nSplit', param.read_text()))
    with pytest.raises(InputError, match='it ends after layer 7'):
        files.read_state(param)


@pytest.mark.parametrize(
    ('style', 'old', 'new', 'message'),
    [
        (Style(twins=True), '11=3', '11=5', 'layer 1 .* along both axes: its number 11'),
        (Style(apart=True), '0=2.000000e-01', '0=3.000000e-01', 'layer 2 .* as its number 10'),
        (Style(apart=True), '0=2.000000e-01', '0=0', 'layer 2 .* has 0, not 2, as its number 9'),
        (Style(apart=True), 'Concat l5 2 1 b1 b3', 'Concat l5 2 1 b1 b2', 'layer 2 .* number 9'),
        (Style(products=True), '2=2.000000e-01', '2=3.000000e-01', 'layer 11 .* as its number 1'),
        (Style(products=True), '0=2 1=1', '0=3 1=1', 'layer 11 is BinaryOp, not Eltwise'),
        (Style(clip='convolution'), '2,0.0,1.0', '2,0.0,0.5', 'layer 40 .* as its number 9'),
    ],
)
def test_a_variant_that_resembles_one_is_refused(tmp_path, rrdb_state, style, old, new, message):
    param = write_rrdb(tmp_path, rrdb_state, 1, style)
    assert old in param.read_text()
    param.write_text(param.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        files.read_state(param)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('2.000000e-01 ', '1.000000e-01 ', r'layer 2 \(Convolution\) has .* as its number 10'),
        ('BinaryOp', 'Eltwise', 'layer 34 is Eltwise, not BinaryOp'),
        ('Concat l4 2 1 b1 b2', 'Concat l4 2 1 b2 b1', r'takes layers \(2, 1\), not \(1, 2\)'),
        ('4=1 5=1', '4=0 5=1', 'layer 1 .*number 4'),
        ('5=1 6=', '20=1 5=1 6=', 'number 20, which is not known here'),
        ('Concat l4', f'{9**3000} l4', r'layer 3 is \d{100,300}$'),
        ('7767517', '7767518', 'not the text of an ncnn network'),
        ('Concat l4 2 1', 'Concat l4 2 x', 'damaged'),
    ],
)
def test_a_network_that_resembles_one_is_refused(tmp_path, rrdb_state, old, new, message):
    param = write_rrdb(tmp_path, rrdb_state, 1)
    text = param.read_text()
    assert old in text.replace('\n', ' \n')
    param.write_text(text.replace('\n', ' \n').replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        files.read_state(param)


def test_damaged_files_are_named(tmp_path, rrdb_state):
    param = write_rrdb(tmp_path, rrdb_state, 1)
    weights = param.with_suffix('.bin')
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4])
    with pytest.raises(InputError, match=r'net\.bin: damaged: it ends before'):
        files.read_state(param)
    weights.write_bytes(whole + bytes(8))
    with pytest.raises(InputError, match=r'net\.bin: damaged: 8 bytes left over'):
        files.read_state(param)
    weights.write_bytes(b'\x38\x4b\x0d\x00' + whole[4:])
    with pytest.raises(InputError, match='quantized'):
        files.read_state(param)
    weights.unlink()
    with pytest.raises(InputError, match=r'net\.bin: No such file'):
        files.read_state(param)
    param.write_text('\n'.join(param.read_text().splitlines()[:-1]))
    with pytest.raises(InputError, match=r'net\.param: damaged: \d+ of \d+ layers'):
        ncnn.read_state(param, weights)


WRITTEN = {
    'rrdb': SMALL['rrdb'],
    'rrdb_x2': SMALL['rrdb_x2'],
    'rrdb_plus': dict(SMALL['rrdb'], plus=True),
    'rrdb_x8': dict(SMALL['rrdb'], scale=8),
    'srvgg': SMALL['srvgg'],
    'srvgg_relu': dict(SMALL['srvgg'], activation='leaky_relu'),
    'srresnet': SMALL['srresnet'],
    'span': dict(name='span', scale=2, features=5),
}


def write_ours(folder, key):
    net = drawn(WRITTEN[key], key)
    layers = recognition.ncnn_layers(net.model['name'], net.module(), net.variables, key)
    ncnn_writer.write(folder / 'ours.param', *layers)
    return net, folder / 'ours.param'


@pytest.mark.parametrize(('key', 'reader'), [('rrdb', rrdb), ('srvgg', srvgg)])
def test_what_is_written_is_read_again(tmp_path, key, reader):
    net, param = write_ours(tmp_path, key)
    assert_same(files.read_state(param), state_of(reader, net.variables))


@pytest.mark.parametrize('key', WRITTEN)
def test_every_blob_is_made_before_it_is_taken_and_taken_once(tmp_path, key):
    _, param = write_ours(tmp_path, key)
    magic, counts, *rows = param.read_text().splitlines()
    there, made = set(), []
    for row in rows:
        _, _, given, count, *blobs = row.split()
        taken, new = blobs[: int(given)], blobs[int(given) : int(given) + int(count)]
        assert len(set(taken)) == len(taken) and there >= set(taken)
        there = (there - set(taken)) | set(new)
        made += new
    assert there == {'output'} and len(set(made)) == len(made)
    assert (magic, counts) == ('7767517', f'{len(rows)} {len(made)}')


@pytest.mark.parametrize('key', WRITTEN)
def test_ncnn_makes_the_same_image(tmp_path, key):
    runtime = pytest.importorskip('ncnn')
    net, param = write_ours(tmp_path, key)
    image = np.random.default_rng(0).random((14, 18, 3), np.float32)
    loaded = runtime.Net()
    for kind in ('packed', 'storage', 'arithmetic'):
        setattr(loaded.opt, f'use_fp16_{kind}', False)
    loaded.load_param(str(param))
    loaded.load_model(str(param.with_suffix('.bin')))
    extractor = loaded.create_extractor()
    # A Mat of an array is a view that keeps neither the array alive nor counts who uses it.
    planes = image.transpose(2, 0, 1).copy()
    extractor.input('data', runtime.Mat(planes).clone())
    found = np.array(extractor.extract('output')[1]).transpose(1, 2, 0)
    expected = jax.jit(net.module().apply)(net.variables, image[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_what_ncnn_cannot_be_is_said(tmp_path):
    net = network('swinir')
    with pytest.raises(InputError, match=r"swinir is not written as ncnn's files: rrdb, span, sr"):
        recognition.ncnn_layers('swinir', net.module(), net.variables, 'a.pth')
    with pytest.raises(InputError, match='ends in .param'):
        ncnn_writer.write(tmp_path / 'a.txt', [], {})
