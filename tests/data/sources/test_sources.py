import subprocess
import sys

import pytest

from sr_jax.data import open_source
from sr_jax.data.protocol import Source
from sr_jax.data.sources import training_source, validation_source
from sr_jax.errors import InputError


def names(source):
    return {source.name(index) for index in range(len(source))}


def test_the_photographs_have_two_parts(make_settings):
    settings = make_settings()
    train, validation = training_source(settings), validation_source(settings)
    assert isinstance(train, Source)
    assert (len(train), len(validation)) == (8, 3)


def test_a_folder_is_split_when_it_serves_both(make_settings, make_folder):
    settings = make_settings(source=f'folder:{make_folder(12)}')
    train, validation = names(training_source(settings)), names(validation_source(settings))
    assert len(train | validation) == 12
    assert not train & validation


def test_a_folder_is_taken_whole_beside_another_source(make_settings, make_folder):
    train, validation = make_folder(5, name='train'), make_folder(4, name='validation')
    settings = make_settings(source=f'folder:{train}', validation_source=f'folder:{validation}')
    assert len(training_source(settings)) == 5
    assert len(validation_source(settings)) == 4
    settings = make_settings(source=f'folder:{train}', validation_source='photos')
    assert len(training_source(settings)) == 5
    assert names(validation_source(settings)) == names(validation_source(make_settings()))


@pytest.mark.parametrize('outer_first', [True, False])
def test_folders_within_each_other_are_refused(make_settings, make_folder, outer_first):
    outer, inner = f'folder:{make_folder(3)}', f'folder:{make_folder(3, name="images/inner")}'
    pair = (outer, inner) if outer_first else (inner, outer)
    settings = make_settings(source=pair[0], validation_source=pair[1])
    for opened in (training_source, validation_source):
        with pytest.raises(InputError, match='overlap'):
            opened(settings)


def test_the_home_folder_is_understood(make_settings, make_folder, monkeypatch):
    folder = make_folder(3)
    monkeypatch.setenv('HOME', str(folder.parent))
    assert len(training_source(make_settings(source=f'folder:~/{folder.name}'))) >= 1


@pytest.mark.parametrize(
    ('spec', 'hint'),
    [
        ('photo', "did you mean 'photos'"),
        ('foldr:/images', "did you mean 'folder:<path>'"),
        ('tdfs:mnist', "did you mean 'tfds:<name>'"),
        ('folder', "did you mean 'folder:<path>'"),
        ('folder:', "did you mean 'folder:<path>'"),
        ('tfds:', "did you mean 'tfds:<name>'"),
        ('photos:all', "did you mean 'photos'"),
        ('http://example.com', 'There are .*folder:<path>, .*, photos, '),
        ('', 'There are .*folder:<path>, .*, photos, '),
    ],
)
def test_an_unknown_source_is_told_the_nearest(make_settings, spec, hint):
    with pytest.raises(InputError, match=hint) as caught:
        open_source(spec, 'train', make_settings())
    assert repr(spec) in str(caught.value)


def test_every_kind_is_known_without_pyav():
    """Not all have it: Python 3.11 does not."""
    script = (
        "import sys; sys.modules['av'] = None\n"
        'from sr_jax.data.sources import find_kind\n'
        "print(find_kind('frames:x')[0].FORM)\n"
        "find_kind('foldr:x')\n"
    )
    command = [sys.executable, '-c', script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == 'frames:<folder of folders>\n'
    assert "did you mean 'folder:<path>'" in done.stderr
