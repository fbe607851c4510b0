"""Weights by their names in a catalogue, which a server on this machine has."""

import hashlib
import json
import os

import pytest
from file_server import serving
from tiny_networks import SMALL, drawn

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.models import make
from sr_jax.pretrained import download, files, named, openmodeldb, recognition


def entry(data, *addresses, **changes):
    file = {'platform': 'pytorch', 'type': 'safetensors', 'size': len(data), 'urls': addresses}
    file['sha256'] = hashlib.sha256(data).hexdigest().upper()
    return {
        'name': 'Tiny',
        'author': ['someone', 'other\x1b[2Jone'],
        'license': 'CC-BY-NC-4.0',
        'architecture': 'compact',
        'scale': 3,
        'resources': [{**file, 'type': 'onnx', 'urls': ['http://none.invalid']}, file | changes],
    }


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """The bytes of a file of weights in an original's names."""
    net = drawn(SMALL['srvgg'])
    state = recognition.foreign_names('srvgg', make(net.model), net.variables, 'x')
    path = tmp_path_factory.mktemp('weights') / 'w.safetensors'
    files.write_original(path, state)
    return path.read_bytes()


@pytest.fixture
def server(monkeypatch, tmp_path, weights):
    monkeypatch.setenv(named.FOLDER, str(tmp_path / 'kept'))
    monkeypatch.delenv(download.OFFLINE, raising=False)
    with serving() as server:
        monkeypatch.setattr(openmodeldb, 'CATALOGUE', f'{server.address}/models.json')
        server.files['/w.safetensors'] = weights
        offer(server, {'2x-Tiny.v1': entry(weights, f'{server.address}/w.safetensors')})
        yield server


def offer(server, catalogue):
    server.files['/models.json'] = json.dumps(catalogue).encode()


def find(name, lines=None):
    return openmodeldb.find(f'openmodeldb:{name}', [].append if lines is None else lines.append)


def test_fetched_once_shown_and_loaded(server, tmp_path):
    lines = []
    network = networks.load('openmodeldb:2x-Tiny.v1', report=lines.append)
    assert network.model == SMALL['srvgg']
    assert network.source == 'openmodeldb:2x-Tiny.v1'
    assert (tmp_path / 'kept/openmodeldb/2x-Tiny.v1.safetensors').exists()
    catalogue, fetched, shown, scale = lines
    assert 'fetching the catalogue' in catalogue and 'fetching openmodeldb:2x-Tiny.v1' in fetched
    assert 'compact, scale 3, by someone, other[2Jone; license: CC-BY-NC-4.0' in shown
    assert 'says scale 3, but its arrays are of 2' in scale
    find('2x-Tiny.v1', again := [])
    assert again == [shown]
    assert [path for path, _ in server.asked] == ['/models.json', '/w.safetensors']


def test_a_catalogue_of_yesterday_is_asked_for_again(server, weights, tmp_path):
    with pytest.raises(InputError, match="no model '2x-Tyni'; there are 2x-Tiny.v1: see"):
        find('2x-Tyni')
    offer(server, {'2x-Tyni': entry(weights, f'{server.address}/w.safetensors')})
    with pytest.raises(InputError, match='no model'):
        find('2x-Tyni')
    os.utime(tmp_path / 'kept/openmodeldb/models.json', (0, 0))
    assert find('2x-Tyni')[1].read_bytes() == weights


def test_another_content_is_refused(server):
    _, path = find('2x-Tiny.v1')
    path.write_bytes(b'others')
    with pytest.raises(InputError, match=r'v1\.safetensors is not the file .*SHA-256.*remove it'):
        find('2x-Tiny.v1')
    path.unlink()
    server.files['/w.safetensors'] = b'others'
    with pytest.raises(InputError, match=r'another file.*fetch it by hand from http://127.*\.saf'):
        find('2x-Tiny.v1')
    assert not path.exists()


def test_offline_it_says_what_to_put_where(server, monkeypatch, weights, tmp_path):
    monkeypatch.setenv(download.OFFLINE, '1')
    with pytest.raises(InputError, match=r'SR_JAX_OFFLINE is set: put http.*models\.json into'):
        find('2x-Tiny.v1')
    folder = tmp_path / 'kept/openmodeldb'
    folder.mkdir(parents=True)
    (folder / 'models.json').write_bytes(server.files['/models.json'])
    with pytest.raises(InputError, match=r'is set: fetch it by hand from http.*v1\.safetensors'):
        find('2x-Tiny.v1')
    (folder / '2x-Tiny.v1.safetensors').write_bytes(weights)
    assert find('2x-Tiny.v1')[0].license == 'CC-BY-NC-4.0'
    assert not server.asked


def test_without_a_network_the_reason_is_told(server, monkeypatch):
    del server.files['/models.json']
    with pytest.raises(InputError, match=r'could not be fetched \(HTTP 404 .*put http'):
        find('2x-Tiny.v1')
    server.files['/models.json'] = b'[1, 2]'
    with pytest.raises(InputError, match='no catalogue of models'):
        find('2x-Tiny.v1')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'type': 'bin'}, 'no file of safetensors or pth, but bin, onnx'),
        ({'sha256': None}, 'no SHA-256 of it, .*fetch it from http://x or http://y and'),
        ({'urls': None}, 'its entry it is damaged'),
    ],
)
def test_an_entry_that_cannot_serve_is_told(server, weights, changes, message):
    offer(server, {'it': entry(weights, 'http://x', 'http://y', **changes)})
    with pytest.raises(InputError, match=message):
        find('it')


def test_a_name_leads_nowhere_else(server, weights, tmp_path):
    offer(server, {'../../it': entry(weights, f'{server.address}/w.safetensors')})
    assert find('../../it')[1].parent == tmp_path / 'kept/openmodeldb'


def test_the_page_of_a_drive_becomes_the_file():
    wanted = 'https://drive.google.com/uc?export=download&confirm=t&id=1_a-B'
    for page in ('file/d/1_a-B/view?usp=sharing', 'open?id=1_a-B', 'uc?export=download&id=1_a-B'):
        assert openmodeldb.direct_address(f'https://drive.google.com/{page}') == wanted
    assert openmodeldb.direct_address('https://a.b/id=3') == 'https://a.b/id=3'
