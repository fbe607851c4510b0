import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_jax import __main__ as verbs
from sr_jax.commands.reconstruct import reconstruct
from sr_jax.devices import sharding
from sr_jax.images.files import load_image, save_image

pytestmark = pytest.mark.usefixtures('one_device')


@given(st.integers(1, 70), st.integers(1, 130))
def test_any_size_is_padded_and_cut_back(height, width):
    image = np.random.default_rng(0).random((height, width, 3), np.float32)
    sizes = []

    def predict(hq):
        sizes.append(hq.shape)
        return {'image': 1 - hq}

    np.testing.assert_array_equal(reconstruct(predict, image), 1 - image)
    ((count, padded_height, padded_width, _),) = sizes
    assert count == 1
    assert padded_height % 64 == padded_width % 64 == 0
    assert padded_height - height < 64


def test_images_and_folders_give_images_side_by_side(finished, tmp_path, capsys):
    rng = np.random.default_rng(0)
    folder = tmp_path / 'in' / 'deep'
    folder.mkdir(parents=True)
    save_image(tmp_path / 'odd.png', rng.random((21, 33, 3), np.float32))
    save_image(folder / 'odd.jpg', rng.random((24, 40, 3), np.float32))
    output = tmp_path / 'out'
    arguments = [str(tmp_path / 'odd.png'), str(tmp_path / 'in'), '--output', str(output)]
    assert verbs.main(['reconstruct', str(finished[0]), *arguments]) == 0
    with Image.open(output / 'odd.png') as first, Image.open(output / 'deep' / 'odd.png') as second:
        assert first.size == (33 * 2 + 2, 21)
        assert second.size == (40 * 2 + 2, 24)
        left = np.asarray(first)[:, :33]
    original = load_image(tmp_path / 'odd.png')
    np.testing.assert_array_equal(left, np.rint(original * 255).astype(np.uint8))
    assert 'mse' in capsys.readouterr().out


def test_without_images_it_takes_those_of_the_validation(finished, tmp_path):
    assert verbs.main(['reconstruct', str(finished[0]), '--output', str(tmp_path)]) == 0
    names = {path.stem for path in tmp_path.iterdir()}
    assert len(names) == 3
    assert 'china' in names


def test_a_broken_image_is_named_and_the_others_are_done(finished, tmp_path, capsys):
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8\xff not an image')
    save_image(tmp_path / 'good.png', np.zeros((16, 16, 3), np.float32))
    output = tmp_path / 'out'
    images = [str(tmp_path / 'broken.jpg'), str(tmp_path / 'good.png')]
    assert verbs.main(['reconstruct', str(finished[0]), *images, '--output', str(output)]) == 1
    assert 'broken.jpg' in capsys.readouterr().err
    assert [p.name for p in output.iterdir()] == ['good.png']


def test_what_is_not_finite_is_named_and_not_written(finished, tmp_path, monkeypatch, capsys):
    save_image(tmp_path / 'a.png', np.zeros((16, 18, 3), np.float32))
    monkeypatch.setattr(
        sharding, 'jit_predict', lambda *_: lambda variables, batch: {'image': batch['hq'] + np.inf}
    )
    output = tmp_path / 'out'
    arguments = [str(finished[0]), str(tmp_path / 'a.png'), '--output', str(output)]
    assert verbs.main(['reconstruct', *arguments]) == 1
    assert 'error: a.png: what' in (shown := capsys.readouterr().err) and 'not finite' in shown
    assert not list(output.iterdir())


def test_a_missing_image_is_refused_before_anything_is_written(finished, tmp_path, capsys):
    output = tmp_path / 'out'
    arguments = [str(finished[0]), str(tmp_path / 'none.png'), '--output', str(output)]
    assert verbs.main(['reconstruct', *arguments]) == 1
    assert 'no such image or folder' in capsys.readouterr().err
    assert not output.exists()
