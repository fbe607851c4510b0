"""Films that are written: lossless and raw ones, and what breaks on the way."""

import io
import resource
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_copies import LOSSLESS, copy, like, read

from sr_jax.errors import InputError
from sr_jax.film import report
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.formats import ColorDescription, PixelFormat
from sr_jax.film.muxing import Source
from sr_jax.film.writer import FilmWriter

VIDEO = OutputVideo(
    34, 22, PixelFormat('yuv', 8, 2, 2), ColorDescription(), Fraction(1, 25), Fraction(25)
)


def write_two(path, pixels, codec, **changes):
    """Writes two frames, and returns their planes."""
    video = VIDEO._replace(pixels=pixels, **changes)
    random = np.random.default_rng(1)
    kind = np.uint8 if pixels.depth == 8 else np.uint16
    chroma = (-(-video.height // pixels.vertical), -(-video.width // pixels.horizontal))
    sizes = [(video.height, video.width), *[chroma] * 2 * (pixels.layout != 'gray')]
    sizes += [sizes[0]] * pixels.alpha
    planes = [
        tuple(random.integers(0, 2**pixels.depth, size, kind) for size in sizes) for _ in range(2)
    ]
    with FilmWriter(path, video, EncoderSettings(codec)) as writer:
        for number, each in enumerate(planes):
            writer.write(each, number, 1)
    return planes


@pytest.mark.parametrize(
    'pixels',
    [
        PixelFormat('yuv', 8, 2, 2),
        PixelFormat('yuv', 16, 2, 1, True),
        PixelFormat('yuv', 8, 4, 1),
        PixelFormat('gray', 16),
        PixelFormat('rgb', 8),
        PixelFormat('rgb', 8, alpha=True),
        PixelFormat('rgb', 12),
    ],
)
def test_a_lossless_film_holds_every_sample(pixels, tmp_path):
    planes = write_two(tmp_path / 'a.mkv', pixels, 'ffv1', width=35, height=23)
    info, frames = read(tmp_path / 'a.mkv')
    assert info.video.pixels == pixels
    for frame, each in zip(frames, planes, strict=True):
        assert all(map(np.array_equal, frame.planes, each))


@pytest.mark.parametrize('codec', ['libx264', 'libx265', 'libsvtav1'])
def test_encoders_are_silent(codec, tmp_path, capfd):
    size = {'width': 66, 'height': 38}
    write_two(tmp_path / 'a.mkv', PixelFormat('yuv', 10, 2, 2), codec, **size)
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('depth', [8, 10])
def test_raw_video_goes_to_a_pipe(depth, tmp_path):
    code = (
        'import numpy as np\n'
        'from pathlib import Path\n'
        'from film.test_writer import PixelFormat, write_two\n'
        f"write_two(Path('-'), PixelFormat('yuv', {depth}, 2, 2), 'libx264')"
    )
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, cwd=tests)
    assert done.stderr == b''
    planes = write_two(tmp_path / 'a.y4m', PixelFormat('yuv', depth, 2, 2), 'libx264')
    assert done.stdout == (tmp_path / 'a.y4m').read_bytes()
    with av.open(io.BytesIO(done.stdout)) as container:
        for frame, each in zip(container.decode(video=0), planes, strict=True):
            assert np.array_equal(frame.to_ndarray()[:22], each[0])


@pytest.fixture
def little_space():
    """Lets no file grow beyond 64 KiB: what a full disk is to a program."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize('suffix', ['.mkv', '.nut'])
def test_a_full_disk_is_one_line(suffix, tmp_path, little_space):
    size = {'width': 350, 'height': 230}
    with pytest.raises(InputError, match=rf'a{suffix} cannot be written: File too large') as raised:
        write_two(tmp_path / f'a{suffix}', PixelFormat('yuv', 8, 1, 1), 'ffv1', **size)
    assert '\n' not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_film_leaves_the_one_before(film, tmp_path):
    output = tmp_path / 'a.mkv'
    output.write_bytes(b'an older film')
    info, frames = read(film('odd'))
    writer = FilmWriter(output, like(info), LOSSLESS, Source(info))
    with pytest.raises(KeyboardInterrupt), writer:
        writer.write(frames[0].planes, frames[0].pts, frames[0].duration)
        raise KeyboardInterrupt
    assert output.read_bytes() == b'an older film'
    assert list(tmp_path.iterdir()) == [output]


def test_a_film_is_not_written_over_itself(film):
    before = film('odd').read_bytes()
    with pytest.raises(InputError, match='is the film itself'):
        copy(film('odd'), film('odd'))
    assert film('odd').read_bytes() == before


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
@pytest.mark.parametrize(
    ('matrix', 'words'),
    [
        ((0, 1, -1, 0), '90 degrees to the right'),
        ((0, -1, 1, 0), '90 degrees to the left'),
        ((-1, 0, 0, -1), '180 degrees'),
        ((-1, 0, 0, 1), 'mirrored, not rotated'),
    ],
)
def test_rotation_and_flips_stay(matrix, words, suffix, tmp_path):
    a, b, c, d = (65536 * each for each in matrix)
    path = tmp_path / f'a{suffix}'
    turned = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    write_two(path, PixelFormat('yuv', 8, 2, 2), 'libx264', matrix=turned)
    assert read(path)[0].video.matrix == turned
    assert report.turning(turned) == words
