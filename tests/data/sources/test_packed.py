import json
import os
import pathlib
import pickle
import re

import numpy as np
import pytest
from PIL import Image

from sr_jax.__main__ import main
from sr_jax.data import open_source, packing, train_iterator
from sr_jax.data.sources import packed, training_source, validation_source
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError

SIZES = [(31, 22), (24, 24), (9, 40), (25, 33), (50, 21)]  # height, width


@pytest.fixture
def folder(tmp_path):
    """A folder of noise, one image in a folder of its own and one of 16 bits."""
    place = tmp_path / 'images'
    (place / 'b').mkdir(parents=True)
    for number, size in enumerate(SIZES):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(place / ('b' if number == 1 else '') / f'{number:03d}.png')
    deep = np.random.default_rng(9).integers(0, 65536, (13, 14), np.uint16)
    Image.fromarray(deep).save(place / 'deep.png')
    return place


@pytest.fixture
def few(monkeypatch):
    """Two images in a file of records."""
    monkeypatch.setattr(packing, 'IMAGES_A_SHARD', 2)


def run_pack(folder, output, *options):
    return main(['pack', str(folder), str(output), '--size', '12', '--step', '7', *options])


def open_all(output, make_settings):
    return open_source(f'packed:{output}', 'train', make_settings(validation_source='photos'))


def test_sub_images_are_parts_of_the_images_that_cover_them(folder, tmp_path, few, make_settings):
    assert run_pack(folder, tmp_path / 'out') == 0
    source = open_all(tmp_path / 'out', make_settings)
    seen = {}
    for index in range(len(source)):
        number, _, path = pathlib.Path(source.name(index)).relative_to(tmp_path / 'out').as_posix(
        ).partition('/')
        seen.setdefault(path, {})[int(number)] = source.pixels(index)
    assert len(seen) == 6
    for path, parts in seen.items():
        image = np.asarray(Image.open(folder / path))
        image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
        covered = np.zeros(image.shape[:2], bool)
        rows, columns = (
            [*range(0, max(side - 12, 0), 7), max(side - 12, 0)] for side in image.shape[:2]
        )
        for number, (top, left) in enumerate((r, c) for r in rows for c in columns):
            expected = image[top : top + 12, left : left + 12]
            np.testing.assert_array_equal(parts.pop(number), expected)
            covered[top : top + 12, left : left + 12] = True
        assert covered.all() and not parts


def test_overlapping_sub_images_are_on_one_side_of_the_split(folder, tmp_path, make_settings):
    run_pack(folder, tmp_path / 'out')
    settings = make_settings(source=f'packed:{tmp_path / "out"}', validation_fraction=0.4)
    both = training_source(settings), validation_source(settings)
    names = [{source.name(i) for i in range(len(source))} for source in both]
    images = [{name.partition('/out/')[2].partition('/')[2] for name in side} for side in names]
    assert not images[0] & images[1] and len(images[0] | images[1]) == 6


def test_what_an_interrupted_call_finished_is_kept(folder, tmp_path, few, monkeypatch, capsys):
    output, write, written = tmp_path / 'out', packing._write_shard, []

    def write_one(path, *rest):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, *rest)

    monkeypatch.setattr(packing, '_write_shard', write_one)
    assert run_pack(folder, output) == 130
    with pytest.raises(InputError, match='no packed.json in this folder'):
        packed.image_names(output)
    monkeypatch.setattr(packing, '_write_shard', write)
    before = (output / '00000.array_record').stat().st_mtime_ns
    capsys.readouterr()
    assert run_pack(folder, output) == 0
    assert capsys.readouterr().out.count('.array_record: ') == 2
    assert (output / '00000.array_record').stat().st_mtime_ns == before
    fingerprint = packed.read_index(output)['fingerprint']
    run_pack(folder, tmp_path / 'at_once')
    assert packed.read_index(tmp_path / 'at_once')['fingerprint'] == fingerprint


def test_one_call_at_a_time_writes_into_a_folder(folder, tmp_path, few, monkeypatch, capsys):
    output, write, second = tmp_path / 'out', packing._write_shard, []

    def write_while_another_begins(path, *rest):
        second.append(run_pack(folder, output, '--step', '6'))
        return write(path, *rest)

    monkeypatch.setattr(packing, '_write_shard', write_while_another_begins)
    assert run_pack(folder, output) == 0
    assert second == [1, 1, 1]
    assert f'error: another job writes {output} (process ' in capsys.readouterr().err
    assert packed.read_index(output)['step'] == 7
    assert not (output / packing.lock.NAME).exists()


def test_a_folder_with_no_name_in_utf_8_is_refused(folder, tmp_path, capsys):
    assert run_pack(folder, tmp_path / os.fsdecode(b'\xff')) == 1
    error = capsys.readouterr().err
    assert 'is no name in UTF-8' in error and error.count('\n') == 1


def test_other_images_or_sizes_are_packed_anew(folder, tmp_path, few):
    run_pack(folder, tmp_path / 'out')
    first = packed.read_index(tmp_path / 'out')['fingerprint']
    Image.new('RGB', (15, 14)).save(folder / '003.png')
    run_pack(folder, tmp_path / 'out')
    second = packed.read_index(tmp_path / 'out')['fingerprint']
    run_pack(folder, tmp_path / 'out', '--step', '6')
    assert len({first, second, packed.read_index(tmp_path / 'out')['fingerprint']}) == 3


def test_a_broken_image_is_named_each_time_and_the_others_are_there(
    folder, tmp_path, few, capsys, make_settings
):
    (folder / '002.png').write_bytes(b'no image')
    for _ in range(2):
        assert run_pack(folder, tmp_path / 'out') == 1
        output = capsys.readouterr()
        assert '002.png: ' in output.err and 'of 5 images' in output.out
    assert len(open_all(tmp_path / 'out', make_settings)) > 5


def test_pairs_of_packed_folders_match(folder, tmp_path, make_settings):
    small = tmp_path / 'small'
    small.mkdir()
    large = tmp_path / 'large'
    large.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (15, 13 + number, 3), np.uint8)
        Image.fromarray(pixels).save(small / f'{number}x2.png')
        Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).save(large / f'{number}.png')
    main(['pack', str(large), str(tmp_path / 'hq'), '--size', '16', '--step', '10'])
    main(['pack', str(small), str(tmp_path / 'lq'), '--size', '8', '--step', '5'])
    settings = make_settings(validation_source='photos', crop_size=6)
    source = open_source(f'paired:{tmp_path / "hq"}:{tmp_path / "lq"}', 'train', settings)
    assert len(source) > 9
    for index in range(len(source)):
        example = source.example(index)
        np.testing.assert_array_equal(example['hq'][::2, ::2], example['lq'])


def test_training_goes_on_at_the_exact_crop(folder, tmp_path, make_settings):
    run_pack(folder, tmp_path / 'out')
    settings = make_settings(source=f'packed:{tmp_path / "out"}', crop_size=8)
    iterator = train_iterator(settings, 3, seed=5)
    next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    expected = [next(iterator)['hq'] for _ in range(2)]
    iterator.close()
    again = train_iterator(settings, 3, seed=5)
    again.set_state(state)
    np.testing.assert_array_equal([next(again)['hq'] for _ in range(2)], expected)
    again.close()


def test_a_pickled_copy_reads_the_same(folder, tmp_path, make_settings):
    run_pack(folder, tmp_path / 'out')
    source = open_all(tmp_path / 'out', make_settings)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[3], source[3])


def test_damage_is_named(folder, tmp_path, few, make_settings):
    output = tmp_path / 'out'
    run_pack(folder, output)
    file = output / '00001.array_record'
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    named = r'00001\.array_record: damaged .*run the same sr-jax pack again'
    with pytest.raises(InputError, match=named):
        open_all(output, make_settings)
    middle = bytearray(whole)
    middle[200:2000] = bytes(1800)
    file.write_bytes(middle)
    source = open_all(output, make_settings)
    problems = 0
    for index in range(len(source)):
        try:
            source.pixels(index)
        except ImageError as error:
            problems += 1
            assert source.name(index) in str(error) and re.search(named, str(error))
    assert problems
    file.unlink()
    with pytest.raises(InputError, match=r'1 files are missing.*00001\.array_record the first'):
        open_all(output, make_settings)
    (output / 'packed.json').write_text('{}')
    with pytest.raises(InputError, match=r'packed\.json: damaged'):
        open_all(output, make_settings)


def cut_off(file):
    file.write_bytes(file.read_bytes()[:900])


def change_the_middle(file):
    damaged = bytearray(file.read_bytes())
    damaged[300:320] = bytes(20)
    file.write_bytes(damaged)


def take_another(file):
    file.write_bytes(file.with_name('00000.array_record').read_bytes())


def damage_the_json(file):
    described = json.loads(file.with_suffix('.json').read_text())
    file.with_suffix('.json').write_text(json.dumps(described | {'names': 17}))


@pytest.mark.parametrize(
    'damage', [cut_off, change_the_middle, take_another, damage_the_json, pathlib.Path.unlink]
)
def test_packing_again_mends_what_was_damaged_and_nothing_else(
    damage, folder, tmp_path, few, capsys, make_settings
):
    output = tmp_path / 'out'
    run_pack(folder, output)
    whole = {path.name: path.read_bytes() for path in output.iterdir()}
    kept = (output / '00002.array_record').stat().st_mtime_ns
    damage(output / '00001.array_record')
    capsys.readouterr()
    assert run_pack(folder, output) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [str(output / '00001.array_record') in line for line in lines] == [True, False]
    assert (output / '00002.array_record').stat().st_mtime_ns == kept
    assert {path.name for path in output.iterdir()} == set(whole)
    assert packed.read_index(output) == json.loads(whole['packed.json'])
    source = open_all(output, make_settings)
    assert all(source.pixels(index).size for index in range(len(source)))


def test_files_of_two_packings_are_refused(folder, tmp_path, few, monkeypatch, make_settings):
    output, write = tmp_path / 'out', packing._write_shard

    def write_one(path, *rest):
        if path.stem == '00001':
            raise KeyboardInterrupt
        return write(path, *rest)

    def interrupt(*options):
        with monkeypatch.context() as context:
            context.setattr(packing, '_write_shard', write_one)
            assert run_pack(folder, output, *options) == 130

    run_pack(folder, output)
    interrupt('--step', '5')
    with pytest.raises(InputError, match=r'00000\.array_record was .*\(12 5\) than .*\(12 7\): sr'):
        open_all(output, make_settings)
    assert run_pack(folder, output) == 0
    for number in (0, 3):
        Image.new('RGB', (17, 14), (number, 3, 5)).save(folder / f'{number:03d}.png')
    interrupt()
    with pytest.raises(InputError, match='of other images than packed.json says'):
        open_all(output, make_settings)
    assert run_pack(folder, output) == 0
    assert len(open_all(output, make_settings)) > 5


@pytest.mark.parametrize('options', [('--step', '13'), ('--step', '0'), ('--size', '0')])
def test_numbers_that_cannot_be_meant(options, folder, tmp_path, capsys):
    assert run_pack(folder, tmp_path / 'out', *options) == 1
    assert 'it must be from 1 to --size' in capsys.readouterr().err
