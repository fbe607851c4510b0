"""Images of every kind through `sr-jax upscale`, and what it says of bad input."""

import jax
import numpy as np
import pytest
from PIL import Image
from tiny_networks import network, whole

from sr_jax import __main__ as verbs
from sr_jax.images.decoding import Layers
from sr_jax.images.files import image_size, read_layers, save_layers
from sr_jax.images.transparency import fill_hidden, limit_alpha
from sr_jax.inference import networks

pytestmark = pytest.mark.usefixtures('one_device')
PROFILE = b'not really a profile, but bytes that come back'


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'srvgg.safetensors'
    networks.save(path, network('srvgg'))
    return str(path)


def write(path, height=9, width=14, kind=np.uint8, gray=False, alpha=False, exif=None):
    """An image at random; returns its layers."""
    rng = np.random.default_rng(0)
    most = np.iinfo(kind).max
    color = rng.integers(0, most, (height, width, 1 if gray else 3), kind, endpoint=True)
    opacity = rng.integers(0, most, (height, width, 1), kind, endpoint=True) if alpha else None
    color = np.repeat(color, 3, axis=-1) if gray else color
    layers = Layers(color, opacity, gray, PROFILE, exif or Image.Exif())
    save_layers(path, layers)
    return layers


def upscale(*arguments):
    return verbs.main(['upscale', *map(str, arguments)])


def expected(pixels):
    most = np.iinfo(pixels.dtype).max
    return np.rint(most * whole(network('srvgg'), pixels.astype(np.float32) / most))


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
@pytest.mark.parametrize('gray', [False, True])
@pytest.mark.parametrize('alpha', [False, True])
def test_all_that_belongs_to_an_image_is_kept(weights, tmp_path, kind, gray, alpha):
    given = write(tmp_path / 'a.png', kind=kind, gray=gray, alpha=alpha)
    assert upscale(tmp_path / 'a.png', '--weights', weights, '--output', tmp_path / 'b.png') == 0
    made = read_layers(tmp_path / 'b.png')
    assert (made.is_gray, made.icc_profile) == (gray, PROFILE)
    assert made.color.dtype == kind
    color = expected(fill_hidden(given.color, given.alpha) if alpha else given.color)
    if gray:
        color = color.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    tolerance = 1 + 1e-5 * np.iinfo(kind).max
    assert np.abs(made.color - color).max() <= tolerance
    assert (made.alpha is None) == (not alpha)
    if alpha:
        opacity = expected(given.alpha.repeat(3, axis=-1)).mean(axis=-1, keepdims=True)
        opacity = limit_alpha(opacity, given.alpha)
        assert np.abs(made.alpha - opacity).max() <= tolerance


def test_the_orientation_is_applied_and_the_rest_of_exif_kept(weights, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, 'a description'
    Image.new('RGB', (14, 9)).save(tmp_path / 'a.jpg', exif=exif)
    assert upscale(tmp_path / 'a.jpg', '--weights', weights, '--output', tmp_path / 'o') == 0
    with Image.open(tmp_path / 'o' / 'a.png') as made:
        assert made.size == (18, 28)
        assert dict(made.getexif()) == {0x010E: 'a description'}


def test_a_palette_becomes_colour(weights, tmp_path):
    layers = write(tmp_path / 'a.png')
    Image.fromarray(layers.color).quantize(16).save(tmp_path / 'p.png')
    assert upscale(tmp_path / 'p.png', '--weights', weights, '--output', tmp_path / 'o') == 0
    with Image.open(tmp_path / 'o' / 'p.png') as made:
        assert (made.mode, made.size) == ('RGB', (28, 18))


def test_a_folder_with_a_broken_image(weights, tmp_path, capsys):
    folder = tmp_path / 'in' / 'deep'
    folder.mkdir(parents=True)
    write(tmp_path / 'in' / 'a.png')
    write(folder / 'a.png', 20, 8)
    (folder / 'b.png').write_bytes(b'no image')
    (folder / 'notes.txt').write_text('not an image either')
    arguments = ['--weights', weights, '--output', tmp_path / 'o', '--format', 'jpg']
    assert upscale(tmp_path / 'in', *arguments) == 1
    output = capsys.readouterr()
    assert 'b.png: not a PNG' in output.err and '1 of 3 images' in output.err
    assert output.out.count('windows of') == 1
    made = [image_size(tmp_path / 'o' / name) for name in ('a.jpg', 'a_2.jpg')]
    assert made == [(18, 28), (40, 16)]


def test_any_factor(weights, tmp_path):
    write(tmp_path / 'a.png')
    arguments = ['--weights', weights, '--output', tmp_path / 'b.png', '--outscale', '3.3']
    assert upscale(tmp_path / 'a.png', *arguments) == 0
    with Image.open(tmp_path / 'b.png') as made:
        assert made.size == (46, 30)


def test_an_image_thirty_thousand_pixels_wide(weights, tmp_path, capsys):
    write(tmp_path / 'a.png', 2, 30_000)
    arguments = ['--weights', weights, '--memory', '0.01', '--output']
    assert upscale(tmp_path / 'a.png', *arguments, tmp_path / 'b.png') == 0
    with Image.open(tmp_path / 'b.png') as made:
        assert made.size == (60_000, 4)
    write(tmp_path / 'a.png', 2, 33_000)
    assert upscale(tmp_path / 'a.png', *arguments, tmp_path / 'b.jpg') == 1
    assert 'a JPEG holds at most 65500 pixels a side' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.png', '--weights', 'no.safetensors'], 'no such run, file of weights'),
        (['a.png', '--weights', 'WEIGHTS', '--outscale', '0'], '--outscale'),
        (['a.png', '--weights', 'WEIGHTS', '--halo', '-1'], '--halo -1: it must not be negative'),
        (['a.png', '--weights', 'WEIGHTS', '--output', '.'], 'would replace the image itself'),
        (['a.png', 'a.png', '--weights', 'WEIGHTS', '--output', 'b.png'], 'there are 2 images'),
        (['a.png', '--weights', 'WEIGHTS', '--output', 'b.gif'], 'written as .png'),
        (['a.png', '--weights', 'WEIGHTS', '--output', 'a.png/o'], 'a part of this path is a file'),
        (['missing.png', '--weights', 'WEIGHTS'], 'no such image or folder: missing.png'),
        (['a.png', '--weights', 'WEIGHTS', '--memory', '1e-6'], 'raise that (--memory)'),
    ],
)
def test_bad_input_has_one_message(weights, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'a.png')
    before = (tmp_path / 'a.png').read_bytes()
    assert upscale(*(weights if word == 'WEIGHTS' else word for word in arguments)) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / 'a.png').read_bytes() == before


def test_a_network_that_does_not_enlarge(tmp_path, capsys):
    networks.save(tmp_path / 'v.safetensors', network('vqvae'))
    write(tmp_path / 'a.png')
    assert upscale(tmp_path / 'a.png', '--weights', tmp_path / 'v.safetensors') == 1
    assert "of the kind 'vqvae', which does not enlarge images" in capsys.readouterr().err


def test_a_result_that_is_not_finite_is_named_and_not_written(tmp_path, capsys):
    net = network('srvgg')
    params = jax.tree.map(np.copy, net.variables['params'])
    kernel = params['block_0']['conv']['kernel']
    params['block_0']['conv']['kernel'] = 6e4 * np.abs(kernel)  # itself within float16's range
    params['block_1']['conv']['kernel'] /= 6e4
    networks.save(tmp_path / 'large.safetensors', net._replace(variables={'params': params}))
    write(tmp_path / 'bright.png')
    Image.new('RGB', (14, 9)).save(tmp_path / 'dark.png')
    arguments = ['--weights', tmp_path / 'large.safetensors', '--output', tmp_path / 'o']
    images = [tmp_path / 'bright.png', tmp_path / 'dark.png']
    assert upscale(*images, *arguments, '--dtype', 'float16') == 1
    shown = capsys.readouterr().err
    assert 'error: bright: what' in shown and 'float32 or bfloat16' in shown
    assert [path.name for path in (tmp_path / 'o').iterdir()] == ['dark.png']
    assert upscale(*images, *arguments) == 0


def test_transparency_in_a_jpeg_is_an_error_of_that_image(weights, tmp_path, capsys):
    write(tmp_path / 'a.png', alpha=True)
    write(tmp_path / 'b.png')
    arguments = ['--weights', weights, '--output', tmp_path / 'o', '--format', 'jpg']
    assert upscale(tmp_path / 'a.png', tmp_path / 'b.png', *arguments) == 1
    assert 'a.jpg: the image has transparency' in capsys.readouterr().err
    assert [path.name for path in (tmp_path / 'o').iterdir()] == ['b.jpg']
