import numpy as np
import pytest
from PIL import Image

from sr_jax.__main__ import main
from sr_jax.data import records
from sr_jax.data.code_shards import write_shard
from sr_jax.errors import InputError

FULL = 'write() failed: No space left on device; writing {}; at byte 0'
SAID = r'the disk is full; free some space or take another folder \(--workdir, --output\)'


def fail(monkeypatch, when, text=FULL):
    """Has the writer fail when it is made, writes or is closed, as the library does."""

    class Writer:
        def __init__(self, path, options):
            self._path = path
            self._reach('open')

        def _reach(self, place):
            if place == when:
                raise RuntimeError(text.format(self._path))

        def write(self, record):
            self._reach('write')

        def close(self):
            self._reach('close')

    monkeypatch.setattr(records, 'ArrayRecordWriter', Writer)


@pytest.mark.parametrize('when', ['open', 'write', 'close'])
def test_a_full_disk_is_a_line_and_nothing_is_left_behind(tmp_path, monkeypatch, when):
    fail(monkeypatch, when)
    file = tmp_path / 'train-00000.array_record'
    example = {'top': np.zeros((2, 2)), 'bottom': np.zeros((4, 4))}
    with pytest.raises(InputError, match=rf'train-00000\.array_record: {SAID}$'):
        write_shard(file, [example])
    assert not list(tmp_path.iterdir())


def test_packing_onto_a_full_disk_is_a_line(tmp_path, monkeypatch, capsys):
    fail(monkeypatch, 'write')
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (15, 13)).save(tmp_path / 'images' / 'a.png')
    command = ['pack', str(tmp_path / 'images'), str(tmp_path / 'out'), '--size', '9']
    assert main([*command, '--step', '7']) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and '00000.array_record: the disk is full' in said[0]
    assert not list((tmp_path / 'out').iterdir())


def test_what_else_the_library_says_is_a_line_too(tmp_path, monkeypatch):
    fail(monkeypatch, 'close', 'something else\nin lines')
    with pytest.raises(InputError, match=r'a cannot be written: something else$'):
        write_shard(tmp_path / 'a', [])


def test_a_defect_of_the_one_who_writes_keeps_its_type(tmp_path):
    with pytest.raises(RuntimeError, match='a defect'), records.writer(tmp_path / 'a', ''):
        raise RuntimeError('a defect')
    assert not list(tmp_path.iterdir())
