import numpy as np
import pytest
from PIL import Image

from sr_jax.data.benchmark import open_benchmark
from sr_jax.errors import InputError


def test_a_folder_has_all_its_images_by_short_names(make_folder):
    folder = make_folder(3)
    (folder / 'more').mkdir()
    (folder / '000.png').rename(folder / 'more' / '000.png')
    found = open_benchmark(f'folder:{folder}')
    assert found.names == ['001.png', '002.png', 'more/000.png']
    assert found.hq.name(2) == str(folder / 'more' / '000.png')
    assert found.hq.pixels(1)[0, 0, 0] == 2
    assert found.lq is None and found.results is None


def test_what_belongs_together_has_one_index(make_pairs, make_folder, tmp_path):
    spec = make_pairs(3, scale=4, suffix='x4')
    _, hq, _ = spec.split(':')
    made = tmp_path / 'made'
    for path in (p for p in sorted((tmp_path / hq).rglob('*')) if p.is_file()):
        target = made / path.relative_to(hq).with_suffix('.webp')
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.save(target, lossless=True)
    found = open_benchmark(spec, made)
    assert len(found.names) == len(found.hq) == len(found.lq) == len(found.results) == 3
    for i in range(3):
        np.testing.assert_array_equal(found.results.pixels(i), found.hq.pixels(i))
        np.testing.assert_array_equal(found.lq.pixels(i), found.hq.pixels(i)[::4, ::4])


def test_the_photographs_are_those_of_validation():
    found = open_benchmark('photos')
    assert len(found.names) == len(found.hq) > 0


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('folder:', "no such data source: 'folder:'"),
        ('tfds:', "no such data source: 'tfds:'"),
        ('images', 'There are folder:<path>, lmdb:<folder>, paired'),
        ('packed:parts', "'packed:parts'; did you mean 'paired:.*There are folder"),
        ('folder:/nowhere', '/nowhere: no such folder'),
        ('paired:/a', 'must name two folders'),
    ],
)
def test_what_is_no_source_is_said(spec, message):
    with pytest.raises(InputError, match=message):
        open_benchmark(spec)


def test_a_folder_without_its_kind_is_known(tmp_path):
    with pytest.raises(InputError, match=f"'; did you mean 'folder:{tmp_path}'"):
        open_benchmark(str(tmp_path))


@pytest.mark.parametrize('spec', ['photos', 'tfds:div2k'])
def test_results_need_names_to_be_matched_by(spec, make_folder):
    with pytest.raises(InputError, match='must be folder:<path> or paired'):
        open_benchmark(spec, make_folder(2))


def test_results_without_partner_are_named(make_folder):
    with pytest.raises(InputError, match=r'002\.png has no partner in .*made'):
        open_benchmark(f'folder:{make_folder(3)}', make_folder(2, name='made'))
