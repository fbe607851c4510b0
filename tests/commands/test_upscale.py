"""Images of every kind through `sr-jax upscale`, and what it says of bad input."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from tiny_networks import network, overflowing, whole

from sr_jax import __main__ as verbs
from sr_jax.images.decoding import Layers
from sr_jax.images.files import image_size, read_all, read_layers, read_timing, save_layers
from sr_jax.images.metadata import Metadata
from sr_jax.images.transparency import fill_hidden, limit_alpha
from sr_jax.inference import image_file, networks, room

pytestmark = pytest.mark.usefixtures('one_device')
PROFILE = b'not really a profile, but bytes that come back'


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'srvgg.safetensors'
    networks.save(path, network('srvgg'))
    return str(path)


class Usage(NamedTuple):
    free: int


def write(path, height=9, width=14, kind=np.uint8, gray=False, alpha=False):
    """An image at random; returns its layers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    most = np.iinfo(kind).max
    color = rng.integers(0, most, (height, width, 1 if gray else 3), kind, endpoint=True)
    opacity = rng.integers(0, most, (height, width, 1), kind, endpoint=True) if alpha else None
    color = np.repeat(color, 3, axis=-1) if gray else color
    layers = Layers(color, opacity, gray, Metadata(icc_profile=PROFILE))
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
    assert (made.is_gray, made.metadata.icc_profile) == (gray, PROFILE)
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
    made = [image_size(tmp_path / 'o' / name) for name in ('a.jpg', 'deep/a.jpg')]
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
        (['a.png', '--weights', 'WEIGHTS', '--memory', '0'], '--memory 0.0: nothing can be'),
        (['a.png', '--weights', 'WEIGHTS', '--memory', 'inf'], '--memory inf: it must be a finite'),
        (['a.png', '--weights', 'WEIGHTS', '--output', '.'], 'would replace the image itself'),
        (['a.png', 'a.png', '--weights', 'WEIGHTS', '--output', 'c.png'], 'there are several'),
        (['a.png', '--weights', 'WEIGHTS', '--output', 'b.heic'], 'written as .png'),
        (['a.png', '--weights', 'WEIGHTS', '--output', 'a.png/o'], 'a part of this path is a file'),
        (['a.png', '--weights', 'WEIGHTS', '--quality', '80'], '--quality is of jpg, webp'),
        (['a.png', '--weights', 'WEIGHTS', '--quality', '0'], '--quality 0: it must be from 1 to'),
        (['a.png', '--weights', 'WEIGHTS', '--lossless', '--format', 'jpg'], '--lossless is of'),
        (['a.png', '--weights', 'WEIGHTS', '--background', 'pale'], "'pale' is no colour"),
        (['a.png', '--weights', 'WEIGHTS', '--max-pixels', '0'], '--max-pixels 0'),
        (['empty', '--weights', 'WEIGHTS'], 'empty: no images in this folder or below it'),
        (['.', '--weights', 'WEIGHTS', '--output', '.'], 'is the folder of the images itself'),
        (['missing.png', '--weights', 'WEIGHTS'], 'no such image or folder: missing.png'),
        (['a.png', '--weights', 'WEIGHTS', '--memory', '1e-6'], 'raise that (--memory)'),
    ],
)
def test_bad_input_has_one_message(weights, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'a.png')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'c.png').touch()
    before = (tmp_path / 'a.png').read_bytes()
    assert upscale(*(weights if word == 'WEIGHTS' else word for word in arguments)) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / 'a.png').read_bytes() == before


def test_a_network_that_does_not_enlarge(tmp_path, capsys):
    networks.save(tmp_path / 'v.safetensors', network('vqvae'))
    write(tmp_path / 'a.png')
    assert upscale(tmp_path / 'a.png', '--weights', tmp_path / 'v.safetensors') == 1
    assert "of the kind 'vqvae', which does not enlarge images" in capsys.readouterr().err


def squares(count, size=(5, 7), alpha=False):
    """Images of one colour each."""
    mode, opacity = ('RGBA', (200,)) if alpha else ('RGB', ())
    return [Image.new(mode, size[::-1], (60 * i, 255 - 60 * i, 9, *opacity)) for i in range(count)]


@pytest.mark.parametrize('suffix', ['png', 'webp', 'gif'])
def test_an_animation_stays_one(weights, tmp_path, suffix):
    first, *rest = squares(3)
    lasting = [30, 50, 70]
    first.save(tmp_path / 'a.gif', save_all=True, append_images=rest, duration=lasting, loop=1)
    out = ['--output', tmp_path / f'b.{suffix}', *(['--lossless'] if suffix == 'webp' else [])]
    assert upscale(tmp_path / 'a.gif', '--weights', weights, *out) == 0
    assert read_timing(tmp_path / f'b.{suffix}') == ((30, 50, 70), 2)
    frames = read_all(tmp_path / 'a.gif'), read_all(tmp_path / f'b.{suffix}')
    for (given, _), (made, _) in zip(*frames, strict=True):
        colors = 40 if suffix == 'gif' else 1  # it has 256 of them
        assert np.abs(made.color - expected(given.color)).max() <= colors


def test_pages_stay_pages(weights, tmp_path, capsys):
    first, *rest = squares(3)
    rest[0] = rest[0].resize((4, 9))
    first.save(tmp_path / 'a.tif', save_all=True, append_images=rest)
    arguments = ['--weights', weights, '--output', tmp_path / 'o']
    assert upscale(tmp_path / 'a.tif', *arguments) == 0
    sizes = [page.color.shape for page, _ in read_all(tmp_path / 'o' / 'a.tif')]
    assert sizes == [(10, 14, 3), (18, 8, 3), (10, 14, 3)]
    assert upscale(tmp_path / 'a.tif', *arguments, '--format', 'png') == 1
    assert 'a.tif: 3 pages, and a PNG holds one' in capsys.readouterr().err


def test_folders_stay_folders_and_results_are_no_images(weights, tmp_path, capsys):
    write(tmp_path / 'in' / 'a' / '1.png')
    write(tmp_path / 'in' / 'b' / '1.png', 6, 5)
    (tmp_path / 'in' / 'b' / 'notes.txt').touch()
    arguments = [tmp_path / 'in', '--weights', weights, '--output', tmp_path / 'in' / 'big']
    assert upscale(*arguments) == 0
    assert 'files that are no images are left out: 1 .txt' in capsys.readouterr().err
    assert image_size(tmp_path / 'in' / 'big' / 'b' / '1.png') == (12, 10)
    assert upscale(*arguments, '--format', 'jpg') == 0
    made = {str(path.relative_to(arguments[-1])) for path in arguments[-1].rglob('*.*')}
    assert made == {'a/1.png', 'a/1.jpg', 'b/1.png', 'b/1.jpg'}


def test_what_is_there_is_replaced_or_left_when_asked(weights, tmp_path, capsys):
    write(tmp_path / 'a.png')
    write(tmp_path / 'b.png')
    arguments = [tmp_path / 'a.png', tmp_path / 'b.png', '--weights', weights]
    arguments += ['--output', tmp_path / 'v1.5/']
    (tmp_path / 'v1.5').mkdir()
    (tmp_path / 'v1.5' / 'b.png').write_text('mine')
    assert upscale(*arguments) == 1
    assert 'b.png is there already' in capsys.readouterr().err
    assert not (tmp_path / 'v1.5' / 'a.png').exists()
    assert upscale(*arguments, '--skip-existing') == 0
    assert image_size(tmp_path / 'v1.5' / 'a.png') == (18, 28)
    assert (tmp_path / 'v1.5' / 'b.png').read_text() == 'mine'
    assert upscale(*arguments[:2], '--weights', 'none', *arguments[4:], '--skip-existing') == 0
    assert 'nothing to do' in capsys.readouterr().out
    assert upscale(*arguments, '--overwrite') == 0
    assert image_size(tmp_path / 'v1.5' / 'b.png') == (18, 28)


@pytest.mark.parametrize('output', ['new.folder', '2024.05.01', 'o.png/'])
def test_what_is_a_folder(weights, tmp_path, output):
    write(tmp_path / 'a.png')
    arguments = ['--weights', weights, '--output', f'{tmp_path}/{output}']
    assert upscale(tmp_path / 'a.png', *arguments) == 0
    assert image_size(tmp_path / output / 'a.png') == (18, 28)


def test_several_images_go_into_a_folder_whatever_its_name(weights, tmp_path):
    write(tmp_path / 'a.png')
    write(tmp_path / 'b.png', 6, 5)
    arguments = ['--weights', weights, '--output', tmp_path / 'c.png']
    assert upscale(tmp_path / 'a.png', tmp_path / 'b.png', *arguments) == 0
    assert image_size(tmp_path / 'c.png' / 'b.png') == (12, 10)


def test_whatever_an_image_raises_the_others_are_done(weights, tmp_path, capsys, monkeypatch):
    for name in 'abcd':
        write(tmp_path / f'{name}.png')
    raised = iter([MemoryError('no'), TypeError('odd'), KeyboardInterrupt()])
    original = image_file.enlarge

    def fail(layers, *rest):
        if error := next(raised, None):
            raise error
        return original(layers, *rest)

    monkeypatch.setattr(image_file, 'enlarge', fail)
    images = [tmp_path / f'{name}.png' for name in 'abcd']
    arguments = ['--weights', weights, '--output', tmp_path / 'o']
    assert upscale(*images, *arguments) == 130
    error = capsys.readouterr().err
    assert 'a.png: the memory does not suffice' in error
    assert 'b.png: TypeError: odd' in error
    assert 'interrupted: 0 of 4 images are done' in error
    raised = iter([MemoryError('no'), TypeError('odd')])
    assert upscale(*images, *arguments) == 1
    assert sorted(path.name for path in (tmp_path / 'o').iterdir()) == ['c.png', 'd.png']


def test_what_can_be_known_before_is_said_before(weights, tmp_path, capsys, monkeypatch):
    write(tmp_path / 'a.png', alpha=True)
    write(tmp_path / 'wide.png', 2, 8200)
    first, *rest = squares(2)
    first.save(tmp_path / 'moving.webp', save_all=True, append_images=rest)
    monkeypatch.setattr(image_file, 'enlarge', None)  # it is not called
    monkeypatch.chdir(tmp_path)
    for name, kind, message in (
        ('a.png', 'jpg', 'a.png: the image has transparency'),
        ('wide.png', 'webp', 'wide.png: a WEBP holds at most 16383'),
        ('moving.webp', 'avif', 'moving.webp: an animation of 2 frames'),
    ):
        assert upscale(name, '--weights', weights, '--format', kind, '--output', 'o') == 1
        assert message in capsys.readouterr().err
    monkeypatch.setattr(room, 'host_memory', lambda: 1000)
    assert upscale('wide.png', '--weights', weights, '--output', 'o') == 1
    said = capsys.readouterr().err
    assert re.search(r'takes about \d+\.\d [KM]iB of memory, and 1\.0 KiB are free', said)
    needed = 3 * 4 * 16400
    for free, is_said in ((needed, False), (needed - 1, True)):
        monkeypatch.setattr(room.shutil, 'disk_usage', lambda _, free=free: Usage(free))
        assert upscale('wide.png', '--weights', weights, '--output', 'o') == 1
        said = 'the results take up to 192.2 KiB, uncompressed, and o has 192.2 KiB left'
        assert (said in capsys.readouterr().err) == is_said


def test_a_background_and_a_quality(weights, tmp_path):
    given = write(tmp_path / 'a.png', alpha=True)
    for quality in (30, 99):
        out = ['--output', tmp_path / f'{quality}.jpg', '--quality', quality]
        assert upscale(tmp_path / 'a.png', '--weights', weights, '--background', 'red', *out) == 0
    sizes = [(tmp_path / f'{quality}.jpg').stat().st_size for quality in (30, 99)]
    assert sizes[0] < sizes[1]
    opacity = given.alpha / 255
    laid = np.rint(given.color * opacity + np.array([255, 0, 0]) * (1 - opacity)).astype(np.uint8)
    made = read_layers(tmp_path / '99.jpg').color
    assert np.abs(made - expected(laid)).mean() < 8


def test_more_pixels_by_an_option(weights, tmp_path, capsys, monkeypatch):
    write(tmp_path / 'a.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    arguments = [tmp_path / 'a.png', '--weights', weights, '--output', tmp_path / 'b.png']
    assert upscale(*arguments) == 1
    assert '--max-pixels 126' in capsys.readouterr().err
    assert upscale(*arguments, '--max-pixels', 1) == 1
    assert '14x9 pixels are more than the limit of 1,' in capsys.readouterr().err
    assert upscale(*arguments, '--max-pixels', 126) == 0


def test_a_result_that_is_not_finite_is_named_and_not_written(tmp_path, capsys):
    networks.save(tmp_path / 'large.safetensors', overflowing())
    write(tmp_path / 'bright.png')
    Image.new('RGB', (14, 9)).save(tmp_path / 'dark.png')
    arguments = ['--weights', tmp_path / 'large.safetensors', '--output', tmp_path / 'o']
    images = [tmp_path / 'bright.png', tmp_path / 'dark.png']
    assert upscale(*images, *arguments, '--dtype', 'float16') == 1
    shown = capsys.readouterr().err
    assert 'error: bright.png: what' in shown and 'float32 or bfloat16' in shown
    assert [path.name for path in (tmp_path / 'o').iterdir()] == ['dark.png']
    assert upscale(*images, *arguments, '--overwrite') == 0


def test_transparency_in_a_jpeg_is_an_error_of_that_image(weights, tmp_path, capsys):
    write(tmp_path / 'a.png', alpha=True)
    write(tmp_path / 'b.png')
    arguments = ['--weights', weights, '--output', tmp_path / 'o', '--format', 'jpg']
    assert upscale(tmp_path / 'a.png', tmp_path / 'b.png', *arguments) == 1
    assert 'a.png: the image has transparency' in capsys.readouterr().err
    assert [path.name for path in (tmp_path / 'o').iterdir()] == ['b.jpg']
