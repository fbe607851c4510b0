"""Films through `sr-jax upscale`: by the command line, killed and resumed, and bad input."""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import films
import jax
import numpy as np
import pytest
from film_copies import packets, read
from PIL import Image
from tiny_networks import repeating

from sr_jax import __main__ as verbs
from sr_jax.commands.shared import film_arguments, film_jobs, upscaler_arguments
from sr_jax.errors import INTERRUPTED
from sr_jax.images.decoding import Layers
from sr_jax.images.files import read_layers, save_layers
from sr_jax.inference import networks
from sr_jax.inference.film.job import FilmJob
from sr_jax.inference.upscaler import Upscaler

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'repeating.safetensors'
    networks.save(path, repeating())
    return path


@pytest.fixture(scope='module')
def upscaler():
    return Upscaler(repeating(), bounded=False, devices=jax.devices()[:1])


@pytest.fixture
def upscale(weights, upscaler, monkeypatch, capsys):
    """Returns a function that runs the verb; it gives the status and what was said.

    All runs share a network, so that it is compiled once.
    """
    monkeypatch.setattr(upscaler_arguments, 'make', lambda *args, **options: upscaler)

    def run(*arguments):
        words = ['upscale', *map(str, arguments), '--weights', str(weights)]
        status = verbs.main(words)
        return status, *capsys.readouterr()

    return run


def video_of(path):
    with av.open(str(path)) as container:
        found = container.demux(container.streams.video[0])
        return [(p.pts, p.duration, bytes(p)) for p in found if p.size]


def test_a_film_is_reported_enlarged_and_its_sound_kept(upscale, film, tmp_path):
    output = tmp_path / 'big.mp4'
    status, said, errors = upscale(film('phone'), '--output', output, '--segment', '0.05')
    assert (status, errors) == (0, '')
    assert 'phone.mp4: mov' in said and '34x22 -> 68x44, libx264, 8 bits, about 9 frames' in said
    assert f'{tmp_path}/.big.mp4.parts' in said and '9 frames' in said.splitlines()[-1]
    assert list(tmp_path.iterdir()) == [output]
    assert packets(output) == packets(film('phone'))
    status, said, errors = upscale(film('phone'), '--output', output)
    assert (status, said) == (1, '') and '--skip-existing' in errors


def test_several_films_go_into_a_folder_and_one_that_fails_is_named(upscale, film, tmp_path):
    broken = tmp_path / 'broken.avi'
    broken.write_bytes(b'RIFF, not')
    given = (film('phone'), broken, film('camera'), '--codec', 'ffv1')
    status, _, errors = upscale(*given, '--output', tmp_path / 'o')
    assert status == 1
    assert errors.splitlines() == [
        f'error: {broken} is not a film that FFmpeg reads, or its head is lost',
        'error: 1 of 3 films could not be done',
    ]
    assert sorted(path.name for path in (tmp_path / 'o').iterdir()) == ['camera.mkv', 'phone.mkv']


def test_a_folder_may_be_named_as_an_image_is(upscale, film, tmp_path):
    assert upscale(film('odd'), '--codec', 'ffv1', '--output', f'{tmp_path}/a.png/')[0] == 0
    assert upscale(film('camera'), '--output', tmp_path / 'a.png')[0] == 0
    assert {path.name for path in (tmp_path / 'a.png').iterdir()} == {'odd.mkv', 'camera.mkv'}
    (tmp_path / 'b.png').mkdir()
    assert upscale(film('odd'), '--frames-to', tmp_path / 'b.png')[0] == 0
    assert len(list((tmp_path / 'b.png').iterdir())) == 4


@pytest.mark.parametrize(
    ('words', 'line'),
    [
        (('--frames-to', '{out}'), '11x7 -> 22x14, PNG, 16 bits, about 1 frames'),
        (('--output', '{out}.y4m'), '11x7 -> 22x14, Y4M, 16 bits, about 1 frames'),
        (('--output', '{out}.mkv', '--codec', 'ffv1'), '11x7 -> 22x14, ffv1, 16 bits, '),
    ],
)
def test_what_is_written_is_said(words, line, upscale, tmp_path):
    (tmp_path / 'frames').mkdir()
    deep = np.random.default_rng(0).integers(0, 2**16, (7, 11, 3), np.uint16)
    save_layers(tmp_path / 'frames' / '3.png', Layers(deep))
    out = tmp_path / 'out'
    status, said, errors = upscale(
        tmp_path / 'frames', '--rate', '5', *(word.format(out=out) for word in words)
    )
    assert (status, errors) == (0, '') and line in said
    if (tmp_path / 'out.y4m').exists():
        ((y, _, _),) = (frame.planes for frame in read(tmp_path / 'out.y4m')[1])
        assert (y.shape, y.dtype) == ((14, 22), np.uint16) and y.max() > 2**15


def test_an_animation_becomes_a_film_where_the_output_is_one(upscale, film, tmp_path):
    status, said, errors = upscale(film('gif'), '--output', tmp_path / 'o.mp4')
    assert (status, errors) == (0, '') and 'opacity is left out, which libx264' in said
    info, frames = read(tmp_path / 'o.mp4')
    times = [1000 * frame.pts * frame.time_base for frame in frames]
    assert times == list(films.ANIMATION_TIMES)
    assert info.video.pixels.horizontal == 1  # no chroma is lost
    end = 1000 * (frames[-1].pts + frames[-1].duration) * info.video.time_base
    assert end == films.ANIMATION_END


def test_parts_are_made_and_joined(upscale, film, tmp_path):
    command = (film('phone'), '--output', tmp_path / 'o.mp4', '--segment', '0.1')
    status, said, _ = upscale(*command, '--part', '2/2')
    assert status == 0 and '2 pieces are missing' in said
    status, _, errors = upscale(*command, '--join')
    assert status == 1 and 'lacks 2 of 3 pieces' in errors
    assert '--join joins them' in upscale(*command, '--part', '1/2')[1]
    assert upscale(*command, '--join')[0] == 0
    assert len(read(tmp_path / 'o.mp4')[1]) == 9


def test_a_folder_of_frames_becomes_a_film_and_a_film_a_folder(upscale, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / 'frames').mkdir()
    for number in (8, 9, 10):
        pixels = rng.integers(0, 256, (6, 10, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'frames' / f'{number}.png')
    given = (tmp_path / 'frames', '--rate', '30000/1001')
    status, _, errors = upscale(*given, '--output', tmp_path / 'o.mkv', '--codec', 'ffv1')
    assert (status, errors) == (0, '')
    info, frames = read(tmp_path / 'o.mkv')
    assert len(frames) == 3 and info.video.pixels.layout == 'rgb'
    assert abs(float(info.video.average_rate) - 29.97) < 0.01
    status, *_ = upscale(tmp_path / 'o.mkv', '--frames-to', tmp_path / 'again', '--outscale', '1')
    assert status == 0
    for number, name in ((1, '8'), (3, '10')):
        again = read_layers(tmp_path / 'again' / f'{number:06d}.png').color
        given = read_layers(tmp_path / 'frames' / f'{name}.png').color
        assert again.shape == (12, 20, 3)
        assert np.abs(again[::2, ::2].astype(int) - given).mean() < 60


def test_a_pipe_gets_raw_video_and_nothing_else(weights, upscaler, film, monkeypatch, capfdbinary):
    monkeypatch.setattr(upscaler_arguments, 'make', lambda *args, **options: upscaler)
    words = ['upscale', str(film('odd')), '--output', '-', '--weights', str(weights)]
    assert verbs.main([*words, '--codec', 'ffv1']) == 0
    out, errors = capfdbinary.readouterr()
    assert out.startswith(b'YUV4MPEG2 W70 H46 F25:1 ') and out.count(b'FRAME\n') == 4
    assert b'35x23 -> 70x46' in errors


def test_ctrl_c_leaves_what_is_done(upscale, film, tmp_path, monkeypatch):
    def interrupt(self, *args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(FilmJob, 'run', interrupt)
    status, _, errors = upscale(film('phone'), '--output', tmp_path / 'o.mkv')
    assert status == INTERRUPTED
    assert f'interrupted: what is done stays beside {tmp_path}/o.mkv' in errors


def test_images_of_a_film_that_was_broken_off_are_the_same(upscale, film, tmp_path, monkeypatch):
    words = (film('phone'), '--segment', '0.1')
    assert upscale(*words, '--frames-to', tmp_path / 'whole')[0] == 0
    folder, save, saved = tmp_path / 'again', film_jobs.save_layers, []

    def interrupt(path, layers):
        if len(saved) == 7:
            raise KeyboardInterrupt
        saved.append(path.name)
        save(path, layers)

    monkeypatch.setattr(film_jobs, 'save_layers', interrupt)
    status, _, errors = upscale(*words, '--frames-to', folder)
    assert status == INTERRUPTED and 'the same command goes on' in errors
    monkeypatch.setattr(film_jobs, 'save_layers', save)
    before = (folder / '000001.png').stat().st_mtime_ns
    assert upscale(*words, '--frames-to', folder, '--dither', 'error_diffusion')[0] == 1
    assert upscale(*words, '--frames-to', folder)[0] == 0
    assert (folder / '000001.png').stat().st_mtime_ns == before
    whole, found = (
        {path.name: path.read_bytes() for path in each.iterdir()}
        for each in (tmp_path / 'whole', folder)
    )
    assert found == whole and len(whole) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ['again', 'whole']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('{phone}', '{png}'), 'enlarge films and images one by one'),
        (('{phone}', '{folder}'), 'a folder of frames is a film with --rate'),
        (('{phone}', '--format', 'png'), '--format is of images'),
        (('{png}', '--crf', '20'), '--crf is of films, and .*a.png is none'),
        (('{png}', '--from', '3'), '--from is of films'),
        (('{folder}', '--output', 'o.mkv'), 'say how many a second'),
        (('{phone}', '{disc}', '--output', 'o.mkv'), 'is one film, but there are 2'),
        (('{phone}', '--output', '{phone}', '--overwrite'), 'would replace'),
        (('none.mkv',), 'no such film: none.mkv'),
        (('{phone}', '--part', '3/2'), '--part 3/2: write K/N'),
        (('{phone}', '--rate', 'fast'), '--rate fast'),
        (('{phone}', '--leave-out', 'all'), '--leave-out all'),
        (('{disc}', '--output', 'o.mp4'), 'cannot hold'),
        (('{sound}',), 'holds no video'),
        (('{phone}', '--frames-to', '{folder}'), 'is not empty'),
        (('{phone}', '--frames-to', 'b', '--part', '1/2'), 'not of --frames-to'),
        (('{phone}', '--frames-to', 'b.png'), 'is a folder, .* name it without .png'),
        (('{phone}', '--output', 'o.gif'), r'are written as .mkv .* write o\.gif/'),
        (('{phone}', '{disc}', '--output', 'o.PNG'), 'are written as .mkv'),
        (('{phone}', '--output', 'o.mvk'), 'are written as .mkv'),
        (('{phone}', '--output', 'o.avi'), 'are written as .mkv'),
        (('{png}', '--output', 'o.mp4'), r'an image becomes an image \(--output x\.png\)'),
        (('{moving}', '--output', 'o.mp4'), r'by the suffix \.apng: name it moving\.apng'),
    ],
)
def test_bad_input_is_said_in_one_line(words, message, upscale, film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a').mkdir()
    Image.new('RGB', (7, 5)).save(tmp_path / 'a' / 'a.png')
    films.animation(tmp_path / 'a' / 'moving.png')
    with av.open(str(tmp_path / 'sound.mkv'), 'w') as sound:
        stream = sound.add_stream('pcm_s16le', rate=films.RATE)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 400), np.int16), 's16', 'mono')
        silence.rate = films.RATE
        sound.mux(stream.encode(silence))
    places = {'png': 'a/a.png', 'folder': 'a', 'sound': 'sound.mkv', 'moving': 'a/moving.png'}
    places |= {name: film(name) for name in ('phone', 'disc')}
    status, _, errors = upscale(*(word.format(**places) for word in words))
    assert status == 1
    assert re.fullmatch(f'error: .*{message}.*\n', errors), errors
    assert {path.name for path in tmp_path.iterdir()} <= {'a', 'sound.mkv', 'upscaled'}


def test_without_pyav_one_line_says_what_to_install(weights, tmp_path):
    code = (
        "import sys; sys.modules['av'] = None\nfrom sr_jax.__main__ import main\n"
        'sys.exit(main(sys.argv[1:]))'
    )
    words = ['upscale', 'film.mkv', '--weights', str(weights)]
    done = subprocess.run([sys.executable, '-c', code, *words], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.match(r"error: films need PyAV.*: pip install 'sr_jax\[video\]'", done.stderr)
    assert done.stderr.count('\n') == 1


def test_every_suffix_that_is_written_is_a_films():
    assert set(film_arguments.WRITTEN) <= set(film_arguments.SUFFIXES)


@pytest.mark.slow
@pytest.mark.parametrize('codec', ['ffv1', 'libx264'])
def test_killed_at_random_moments_it_is_the_same_in_the_end(codec, weights, tmp_path):
    path = tmp_path / 'long.mkv'
    made = films.Film(path, 'libx264', (34, 22), '1/25', 25)
    made.write(films.constant(600, (34, 22), 'yuv420p', made.tick, 1))
    made.close()

    def start(output):
        words = ('upscale', path, '--weights', weights, '--output', output, '--segment', '0.4')
        words += ('--codec', codec)
        return subprocess.Popen(
            [sys.executable, '-m', 'sr_jax', *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    assert start(tmp_path / 'whole.mkv').wait() == 0
    rng, killed = random.Random(0), 0
    for number in range(4):
        output = tmp_path / f'killed_{number}.mkv'
        moment = 0
        for _ in range(5):
            moment += rng.randrange(13)  # pieces of 60
            job = start(output)
            while job.poll() is None and len(list(tmp_path.glob('.killed*/*.npz'))) < moment:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.02))
            job.send_signal(signal.SIGKILL)
            killed += job.wait() != 0
        assert start(output).wait() == 0
        assert video_of(output) == video_of(tmp_path / 'whole.mkv')
        assert not list(tmp_path.glob('.killed*'))
    print(f'{killed} of 20 were killed in time')
    assert killed > 15  # some may have been done before
