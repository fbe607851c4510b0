import pathlib
import pickle
import subprocess
import sys

import lmdb
import numpy as np
import pytest
from lmdb_files import write_lmdb
from PIL import Image

from sr_jax.data import open_source, train_iterator, validation_batches
from sr_jax.data.benchmark import open_benchmark
from sr_jax.data.sources import training_source, validation_source
from sr_jax.data.sources.lmdb import DATA, META
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError
from sr_jax.images.files import list_images


def pack_folder(folder, path):
    """Writes the images of a folder and those below it into a database."""
    return write_lmdb(
        path,
        {
            file.relative_to(folder).with_suffix('').as_posix(): np.asarray(Image.open(file))
            for file in list_images(folder)
        },
    )


def noise(seed, height=12, width=16):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def path(tmp_path):
    """A database of seven images, one of them in a folder and one of grey."""
    images = {f'{i:03d}_s{j:03d}': noise(i, 12 + i, 17) for i, j in enumerate(range(9, 14))}
    return write_lmdb(tmp_path / 'hq.lmdb', {'b/01': noise(8), 'a': noise(7)[..., 0], **images})


def test_images_are_those_that_were_written(path, make_settings):
    source = open_source(f'lmdb:{path}', 'train', make_settings(validation_source='photos'))
    assert [source.name(i) for i in range(len(source))] == [
        str(path / name)
        for name in (*(f'{i:03d}_s{i + 9:03d}.png' for i in range(5)), 'a.png', 'b/01.png')
    ]
    for index, seed in enumerate(range(5)):
        np.testing.assert_array_equal(source.example(index)['hq'], noise(seed, 12 + seed, 17))
    np.testing.assert_array_equal(source.pixels(5), noise(7)[..., :1].repeat(3, -1))
    np.testing.assert_array_equal(source[6], noise(8) / np.float32(255))


def test_crops_are_those_of_the_same_images_in_a_folder(tmp_path, make_settings, make_folder):
    folder = make_folder(9)
    packed = pack_folder(folder, tmp_path / 'images.lmdb')
    training, validating = [], []
    for source in (f'folder:{folder}', f'lmdb:{packed}'):
        data = make_settings(source=source)
        iterator = train_iterator(data, 4, 3)
        training.append([next(iterator)['hq'] for _ in range(2)])
        iterator.close()
        validating.append([batch['hq'] for batch in validation_batches(data, 5)])
    np.testing.assert_array_equal(*training)
    np.testing.assert_array_equal(*validating)


@pytest.mark.parametrize('kinds', [('lmdb', 'lmdb'), ('folder', 'lmdb'), ('lmdb', 'folder')])
def test_either_side_of_pairs_may_be_a_database(tmp_path, make_settings, make_pairs, kinds):
    source = make_pairs(5, scale=3, suffix='x3')
    places = [pathlib.Path(place) for place in source.split(':')[1:]]
    for i, kind in enumerate(kinds):
        if kind == 'lmdb':
            places[i] = pack_folder(places[i], tmp_path / f'{i}.lmdb')
    packed = make_settings(source=f'paired:{places[0]}:{places[1]}', crop_size=6)
    files = make_settings(source=source, crop_size=6)
    for part in (training_source, validation_source):
        found, wanted = part(packed), part(files)
        assert len(found) == len(wanted) > 0
        for index in range(len(wanted)):
            one, expected = found.example(index), wanted.example(index)
            np.testing.assert_array_equal(one['hq'], expected['hq'])
            np.testing.assert_array_equal(one['lq'], expected['lq'])
    benchmark = open_benchmark(packed.source)
    assert benchmark.lq.pixels(4).shape[0] * 3 == benchmark.hq.pixels(4).shape[0]


def test_a_benchmark_is_a_database(path):
    benchmark = open_benchmark(f'lmdb:{path}')
    assert benchmark.names[-1] == 'b/01.png'
    np.testing.assert_array_equal(benchmark.hq.pixels(6), noise(8))
    with pytest.raises(InputError, match=f'no images in this folder .*it is lmdb:{path}'):
        open_benchmark(f'folder:{path}')


def test_one_process_opens_it_once_and_a_copy_anew(path, make_settings):
    data = make_settings(source=f'lmdb:{path}')
    train, validation = training_source(data), validation_source(data)
    assert len(train) + len(validation) == 7
    copy = pickle.loads(pickle.dumps(train))
    np.testing.assert_array_equal(copy.pixels(1), train.pixels(1))
    code = 'import pickle, sys; print(pickle.load(sys.stdin.buffer).pixels(1).sum())'
    found = subprocess.check_output([sys.executable, '-c', code], input=pickle.dumps(train))
    assert int(found) == train.pixels(1).sum()


def test_one_that_takes_the_place_of_another_is_read(path, make_settings):
    data = make_settings(source=f'lmdb:{path}', validation_source='photos')
    before = training_source(data)
    for name in (DATA, 'lock.mdb'):
        (path / name).unlink()
    write_lmdb(path, {'new': noise(3, 10, 11)})
    after = training_source(data)
    assert (len(before), len(after)) == (7, 1)
    np.testing.assert_array_equal(after.pixels(0), noise(3, 10, 11))


def test_a_missing_key_and_a_broken_value_are_named_and_passed_over(path, make_settings):
    with lmdb.open(str(path)) as database, database.begin(write=True) as writing:
        writing.delete(b'a')
        writing.put(b'b/01', b'no image')
    lines = []
    data = make_settings(source=f'lmdb:{path}', validation_source='photos', max_rejected=2)
    source = training_source(data)
    with pytest.raises(ImageError, match=r"a\.png: meta_info\.txt lists it, but .* no key 'a'"):
        source.example(5)
    with pytest.raises(ImageError, match=r'b/01\.png: not a PNG'):
        source.example(6)
    iterator = train_iterator(data, 8, 3, lines.append)
    for _ in range(4):
        next(iterator)
    iterator.close()
    assert sorted(line.partition(':')[0] for line in lines) == [
        f'skipped image {path / name}' for name in ('a.png', 'b/01.png')
    ]


@pytest.mark.parametrize(
    ('file', 'content', 'message'),
    [
        (META, None, r'hq\.lmdb: no meta_info\.txt in this folder; .*create_lmdb'),
        (DATA, None, r'hq\.lmdb: no data\.mdb in this folder'),
        (META, b'a.png (3,4,3) 1\nb.png\n', r"meta_info\.txt, line 2: 'b\.png' is not an image"),
        (META, b'\n', 'it names no images'),
        (META, b'\xff\xfe\x00', 'cannot be read'),
        (DATA, b'nothing of LMDB', r'hq\.lmdb: the database cannot be opened'),
        (DATA, 0.5, r'data\.mdb: damaged \(.*\); copy it anew'),
    ],
)
def test_what_is_no_database_is_one_line(path, make_settings, file, content, message):
    whole = (path / file).read_bytes()
    (path / file).unlink()
    if content is not None:
        short = whole[: int(len(whole) * content)] if isinstance(content, float) else content
        (path / file).write_bytes(short)
    with pytest.raises(InputError, match=message) as caught:
        training_source(make_settings(source=f'lmdb:{path}'))
    assert '\n' not in str(caught.value)


def test_the_missing_package_is_named(path, make_settings, monkeypatch):
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    with pytest.raises(InputError, match=r"pip install 'sr_jax\[lmdb\]'"):
        training_source(make_settings(source=f'lmdb:{path}'))
