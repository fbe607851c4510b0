"""Files from a server on this machine: resumed, verified, whole or not there."""

import hashlib

import pytest
from file_server import serving

from sr_jax.errors import InputError
from sr_jax.pretrained import download

DATA = bytes(range(256)) * 41
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server():
    with serving() as server:
        server.files['/a.pth'] = DATA
        yield server


def fetch(server, target, *paths, **options):
    options = {'sha256': SHA256, 'size': len(DATA), **options}
    addresses = [server.address + path for path in paths or ('/a.pth',)]
    download.fetch_file(addresses, target, **options)


def test_whole_and_alone(server, tmp_path):
    target = tmp_path / 'new' / 'a.pth'
    fetch(server, target, size=None)
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == ['a.pth']


def test_a_broken_connection_is_gone_on_from(server, tmp_path):
    server.breaking = 4000
    target = tmp_path / 'a.pth'
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == [None, 'bytes=4000-', 'bytes=8000-']


def test_a_later_call_goes_on(server, tmp_path):
    server.breaking = 1500
    target = tmp_path / 'a.pth'
    with pytest.raises(download.FetchError, match=r'127\.0\.0\.1: .*early'):
        fetch(server, target)
    assert not target.exists()
    server.breaking = None
    fetch(server, target)
    assert server.asked[-1] == ('/a.pth', 'bytes=4500-')
    assert target.read_bytes() == DATA


def test_what_another_process_fetched_meanwhile_is_taken(server, tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'theirs')
    fetch(server, tmp_path / 'a.pth')
    assert not server.asked and (tmp_path / 'a.pth').read_bytes() == b'theirs'


@pytest.mark.parametrize('before', [DATA[:99], DATA, DATA + b'more'])
def test_what_lies_there_and_a_server_that_begins_anew(server, tmp_path, before):
    server.ranges = len(before) != 99
    (tmp_path / '.a.pth.part').write_bytes(before)
    fetch(server, tmp_path / 'a.pth')
    assert (tmp_path / 'a.pth').read_bytes() == DATA


def test_another_content_is_not_kept(server, tmp_path):
    server.files['/other'] = DATA[::-1]
    with pytest.raises(download.FetchError, match='another file.*; .*HTTP 404'):
        fetch(server, tmp_path / 'a.pth', '/other', '/none')
    assert (tmp_path / '.a.pth.part').read_bytes() == b''
    fetch(server, tmp_path / 'a.pth', '/none', '/other', '/a.pth')
    assert (tmp_path / 'a.pth').read_bytes() == DATA


def test_what_is_no_file_is_refused(server, tmp_path):
    with pytest.raises(download.FetchError, match='more than the 300 bytes'):
        fetch(server, tmp_path / 'a.pth', size=300)
    server.kind = 'text/html; charset=utf-8'
    with pytest.raises(download.FetchError, match='a page for people'):
        fetch(server, tmp_path / 'a.pth')
    with pytest.raises(download.FetchError, match='not an address of the web'):
        download.fetch_file([f'file://{__file__}'], tmp_path / 'a.pth', SHA256, None)
    with pytest.raises(download.FetchError, match='no address is known'):
        download.fetch_file([], tmp_path / 'a.pth', SHA256, None)
    (tmp_path / 'folder').write_text('a file')
    with pytest.raises(InputError, match='folder.* cannot be written'):
        fetch(server, tmp_path / 'folder' / 'a.pth')
