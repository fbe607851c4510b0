"""Files for results: none twice, for any names in any order."""

import argparse
import subprocess
import sys
import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.commands.shared import results
from sr_jax.errors import InputError

# Few parts, so that they meet: numbered ones, folders named like files, letters that fold.
PARTS = st.sampled_from(['a', 'a_2', 'a_2_2', 'A', 'a.png', 'a_3', 'b', '\u00e9', 'e\u0301'])
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=3).map('/'.join), max_size=9)


def fold(path):
    return unicodedata.normalize('NFC', str(path)).casefold()


@given(NAMES, st.booleans())
def test_each_result_has_a_file_of_its_own(names, beside):
    suffixes = ['.png' if len(name) % 2 else '.tif' for name in names]
    files = results.name_files(names, Path('o'), suffixes, ['.json'] if beside else [])
    written = [fold(file) for file in files]
    written += [fold(file.with_suffix('.json')) for file in files] if beside else []
    assert len(set(written)) == len(written)
    folders = {fold(parent) for file in files for parent in file.parents}
    assert not folders & set(written)
    for name, suffix, file in zip(names, suffixes, files, strict=True):
        assert file.parent == Path('o') / PurePosixPath(name).parent
        assert file.name.startswith(PurePosixPath(name).name) and file.name.endswith(suffix)


def test_a_number_is_none_that_another_image_has():
    files = results.name_files(['scan', 'scan', 'scan_2', 'x/scan'], Path('o'), ['.png'] * 4)
    assert [str(file) for file in files] == [
        'o/scan.png',
        'o/scan_3.png',
        'o/scan_2.png',
        'o/x/scan.png',
    ]


def asked(**changes):
    return argparse.Namespace(**{'skip_existing': False, 'overwrite': False} | changes)


def test_what_becomes_of_results_that_are_there(tmp_path):
    files = [[tmp_path / 'a.png'], [tmp_path / 'b.png', tmp_path / 'c.png']]
    assert results.find_missing(asked(), files) == [True, True]
    (tmp_path / 'b.png').touch()
    with pytest.raises(InputError, match=r'b\.png is there already: --skip-existing leaves'):
        results.find_missing(asked(), files)
    assert results.find_missing(asked(skip_existing=True), files) == [True, True]
    (tmp_path / 'c.png').touch()
    with pytest.raises(InputError, match=r'b\.png \(and 1 more\) is there'):
        results.find_missing(asked(), files)
    assert results.find_missing(asked(skip_existing=True), files) == [True, False]
    assert results.find_missing(asked(overwrite=True), files) == [True, True]
    (tmp_path / 'a.png').mkdir()
    with pytest.raises(InputError, match=r'a\.png is a folder, where a result would go'):
        results.find_missing(asked(overwrite=True), files)


@pytest.mark.parametrize('link', [Path.hardlink_to, Path.symlink_to])
def test_a_link_to_an_image_is_no_place_for_its_result(link, tmp_path):
    given, file = tmp_path / 'a.png', tmp_path / 'b.png'
    given.touch()
    results.prepare([file], [given], tmp_path)
    link(file, given)
    with pytest.raises(InputError, match=r'b\.png would replace the image itself'):
        results.prepare([file], [given], tmp_path)


def test_what_a_killed_process_left_of_results_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    (tmp_path / f'.a.png.{ended.pid}.partial').touch()
    other = tmp_path / f'.b.png.{ended.pid}.partial'
    other.touch()
    results.prepare([tmp_path / 'a.png', tmp_path / 'c' / 'b.png'], [], tmp_path)
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / 'c']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(count=0), '--count 0: it must be at least 1'),
        (dict(count=10**11), '--count 100000000000: it must be at most 1000000'),
        (dict(film=float('nan')), '--film nan: it must be at least 0'),
        (dict(film=float('inf')), '--film inf: it must be at most 1000000'),
        (dict(seed=2**62 + 1), '--seed 4611686018427387905: it must be at most'),
    ],
)
def test_numbers_to_which_no_end_would_come_are_refused(changes, message):
    least = {'count': 1, 'seed': 0, 'film': 0}
    good = argparse.Namespace(count=3, seed=2**62, film=0.5)
    results.check_numbers(good, least)
    with pytest.raises(InputError, match=f'^{message}'):
        results.check_numbers(argparse.Namespace(**{**vars(good), **changes}), least)
