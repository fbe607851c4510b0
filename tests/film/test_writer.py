"""A film read and written again: times, planes, tags, and all that is copied."""

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
from film_copies import LOSSLESS, copy, like, packets, read, seconds

from sr_jax.errors import InputError
from sr_jax.film import encoders, report, streams
from sr_jax.film.encoders import EncoderSettings, OutputVideo, choose_pixels
from sr_jax.film.formats import ColorDescription, PixelFormat
from sr_jax.film.info import FilmInfo
from sr_jax.film.muxing import Source, _chapters, notes
from sr_jax.film.writer import FilmWriter, output_like


@pytest.mark.parametrize(
    ('name', 'suffix', 'codec'),
    [
        ('mpeg2_pal', '.mkv', 'libx264'),
        ('mpeg2_ntsc', '.mkv', 'libx264'),
        ('h264_pal', '.mkv', 'libx264'),
        ('dv_pal', '.mov', 'libx264'),
        ('gif', '.mkv', 'ffv1'),
        ('webp', '.mkv', 'ffv1'),
        ('disc', '.mkv', 'libx264'),
        ('phone', '.mp4', 'libx264'),
        ('phone', '.mkv', 'ffv1'),
        ('bought', '.mp4', 'libsvtav1'),
        ('hdr', '.mkv', 'libx265'),
        ('prores', '.mov', 'prores_ks'),
        ('prores', '.mkv', 'ffv1'),
        ('vp9_alpha', '.mkv', 'ffv1'),
        ('vp9_alpha', '.webm', 'libvpx-vp9'),
        ('avi', '.mkv', 'libx264'),
        ('broadcast', '.mkv', 'libx264'),
        ('broadcast', '.mp4', 'libx264'),
        ('broadcast', '.ts', 'libx264'),
        ('odd', '.mkv', 'ffv1'),
    ],
)
def test_a_film_keeps_its_times_tags_and_other_streams(name, suffix, codec, film, tmp_path):
    output = tmp_path / f'copy{suffix}'
    frames = copy(film(name), output, EncoderSettings(codec))
    before, _ = read(film(name))
    after, written = read(output)
    tick = after.video.time_base
    near = tick / 2 if suffix in ('.mkv', '.webm') else 0  # Matroska counts milliseconds
    times = zip(seconds(frames), seconds(written), strict=True)
    assert max(abs(old - new) for old, new in times) <= near
    ends = [each[-1].time_base * (each[-1].pts + each[-1].duration) for each in (frames, written)]
    if suffix != '.ts':
        assert abs(ends[0] - ends[1]) <= 2 * near
    assert packets(film(name)) == packets(output)
    old, new = before.video, after.video
    assert new.pixels == old.pixels
    assert (new.aspect or 1) == (old.aspect or 1)
    assert new.matrix == old.matrix
    assert (new.mastering, new.light) == (old.mastering, old.light)
    if codec != 'libvpx-vp9':
        tagged = {k: v for k, v in old.color._asdict().items() if v != 'unspecified'}
        assert tagged.items() <= new.color._asdict().items()
    if codec == 'ffv1':
        for frame, again in zip(frames, written, strict=True):
            assert all(map(np.array_equal, frame.planes, again.planes))


def attached(path: Path) -> dict[str, bytes]:
    """Returns the attachments and pictures of a film by their names."""
    with av.open(str(path)) as container:
        found = {s.name: s.data for s in container.streams if s.type == 'attachment'}
        pictures = [s for s in container.streams if streams.describe(s).kind == 'cover']
        for packet in container.demux(pictures) if pictures else ():
            if packet.size:
                found[packet.stream.metadata.get('filename', 'cover')] = bytes(packet)
    return found


def chapters(info: FilmInfo) -> list[tuple]:
    return [(c.start * c.time_base, c.end * c.time_base, c.metadata) for c in info.chapters]


@pytest.mark.parametrize(('name', 'suffix'), [('disc', '.mkv'), ('bought', '.mp4')])
def test_everything_else_is_in_the_copy(name, suffix, film, tmp_path):
    output = tmp_path / f'copy{suffix}'
    copy(film(name), output, EncoderSettings('libx264'))
    before, after = read(film(name))[0], read(output)[0]
    assert chapters(after) == chapters(before)
    assert attached(output) == attached(film(name))
    kept = ('kind', 'codec', 'language', 'title', 'disposition')
    for old, new in zip(before.streams, after.streams, strict=True):
        assert [getattr(old, key) for key in kept] == [getattr(new, key) for key in kept]
    ours = streams.CONTAINERS_OWN
    assert {k: v for k, v in before.metadata.items() if k.lower() not in ours} == {
        k: v for k, v in after.metadata.items() if k.lower() not in ours
    }


def test_raw_video_has_the_rate_of_the_film(film, tmp_path):
    frames = copy(film('phone'), tmp_path / 'copy.y4m')
    info, written = read(tmp_path / 'copy.y4m')
    rate = read(film('phone'))[0].video.average_rate
    assert info.video.average_rate == rate
    assert seconds(written) == [number / rate for number in range(len(frames))]


def test_a_phones_own_tags_stay(film, tmp_path):
    copy(film('phone'), tmp_path / 'copy.mov', EncoderSettings('libx264'))
    metadata = read(tmp_path / 'copy.mov')[0].metadata
    assert metadata['com.apple.quicktime.model'] == 'a phone'
    assert metadata['title'] == 'Holidays'


def test_another_video_is_copied_beside_the_default_one(film, tmp_path):
    before = read(film('two_angles'))[0]
    assert (before.video.number, before.video.width) == (2, 50)
    copy(film('two_angles'), tmp_path / 'copy.mkv')
    assert [stream.kind for stream in read(tmp_path / 'copy.mkv')[0].streams] == [
        *('video', 'audio', 'video')
    ]
    found = []
    for path, number in ((film('two_angles'), 1), (tmp_path / 'copy.mkv', 2)):
        with av.open(str(path)) as container:
            stream = container.streams[number]
            assert stream.width == 34
            found.append([bytes(packet) for packet in container.demux(stream) if packet.size])
    assert found[0] == found[1]


@pytest.mark.parametrize(('suffix', 'count'), [('.mov', 2), ('.mp4', 2), ('.mkv', 1)])
def test_a_timecode_stays(suffix, count, film, tmp_path):
    copy(film('camera'), tmp_path / f'copy{suffix}', EncoderSettings('libx264'))
    info, _ = read(tmp_path / f'copy{suffix}')
    assert len(info.streams) == count
    found = {key.lower(): value for key, value in info.video.metadata.items()}
    assert found['timecode'] == '01:02:03:04'


def test_a_clock_that_begins_late_can_be_set_to_zero(film, tmp_path):
    before = copy(film('broadcast'), tmp_path / 'copy.mkv', start='zero')
    info, after = read(tmp_path / 'copy.mkv')
    old = [stream.start for stream in read(film('broadcast'))[0].streams]
    first, tick = min(old), Fraction(1, 1000)
    assert first > 1
    times = zip(seconds(before), seconds(after), strict=True)
    assert all(abs(time - first - new) < tick for time, new in times)
    new = [stream.start for stream in info.streams]
    assert all(abs(a - first - b) < tick for a, b in zip(old, new, strict=True))


def test_chapters_move_with_the_clock(film):
    info = read(film('disc'))[0]
    moved = _chapters(Source(info), Fraction(-1, 20), 'matroska')
    times = [(c['start'] * c['time_base'], c['end'] * c['time_base']) for c in moved]
    later = Fraction(1, 20)
    assert times == [(start - later, end - later) for start, end, _ in chapters(info)]
    assert _chapters(info, Fraction(0), 'mpegts') == []


@pytest.mark.parametrize(
    ('name', 'output', 'message'),
    [
        ('bought', 'a.mkv', r'a\.mkv cannot hold stream 2: subtitle mov_text, fra.*: take a\.mp4'),
        ('disc', 'a.mp4', r'cannot hold .*subtitle subrip.*attachment font.*: take a\.mkv'),
        ('disc', 'a.webm', r'cannot hold stream 1: audio flac.*: take a\.mkv'),
        ('disc', 'a.ts', r'cannot hold stream 1: audio flac.*subtitle.*2 chapters: take a\.mkv'),
        ('phone', 'a.avi', r'a\.avi: films are written as \.mkv .*; take \.mkv'),
        ('phone', 'a', 'a: films are written as'),
    ],
)
def test_what_a_container_cannot_hold_is_named(name, output, message, film, tmp_path):
    with pytest.raises(InputError, match=message):
        copy(film(name), tmp_path / output, EncoderSettings('libx264'))
    assert not list(tmp_path.iterdir())


def test_what_is_not_kept_exactly_is_said(film):
    video = like(read(film('hdr'))[0], time_base=Fraction(1, 90000))
    (words,) = notes(Path('a.mkv'), video, EncoderSettings('libx265'))
    assert words == 'matroska counts in 1/1000 s: times are rounded to the nearest tick'
    (words,) = notes(Path('a.mov'), video, EncoderSettings('prores_ks'))
    assert words == 'prores_ks does not hold what is said of HDR: libx264, libx265, libsvtav1 do'
    assert notes(Path('a.mp4'), video, EncoderSettings('libx265')) == []
    assert 'constant rate' in notes(Path('-'), video, EncoderSettings())[0]


def test_pixels_change_their_shape_where_sides_grow_unlike(film):
    video = read(film('disc'))[0].video
    assert output_like(video, 4 * video.width, 4 * video.height).aspect == Fraction(10, 11)
    assert output_like(video, 2 * video.width, 4 * video.height).aspect == Fraction(20, 11)


def test_streams_can_be_left_out(film, tmp_path):
    output = tmp_path / 'copy.mkv'
    copy(film('bought'), output, leave_out=(2,))
    assert [stream.kind for stream in read(output)[0].streams] == ['video', 'audio', 'cover']


VIDEO = OutputVideo(
    34, 22, PixelFormat('yuv', 8, 2, 2), ColorDescription(), Fraction(1, 25), Fraction(25)
)


@pytest.mark.parametrize(
    ('changes', 'settings', 'output', 'message'),
    [
        ({'width': 35}, EncoderSettings(), 'a.mkv', 'libx264 does not take 35x22 .*even sides'),
        ({'height': 23}, EncoderSettings('libsvtav1'), 'a.mkv', 'does not take 34x23'),
        ({}, EncoderSettings('libx265'), 'a.mkv', 'libx265 does not take 34 columns'),
        ({}, EncoderSettings('mpeg1'), 'a.mkv', "codec 'mpeg1': .*take one of libx264"),
        ({}, EncoderSettings('prores_ks'), 'a.mov', 'the nearest that it takes is yuv422p10le'),
        ({}, EncoderSettings('ffv1'), 'a.mov', 'mov does not hold what ffv1 makes: take .mkv'),
        ({}, EncoderSettings('ffv1'), 'a.ts', 'mpegts does not hold what ffv1 makes'),
        ({'width': 66}, EncoderSettings('libsvtav1'), 'a.mov', 'mov does not hold what libsvtav1'),
        ({}, EncoderSettings('ffv1', quality=3), 'a.mkv', 'has no quality'),
        ({}, EncoderSettings('h264_nvenc'), 'a.mkv', 'h264_nvenc does not open here'),
        ({}, EncoderSettings(preset='hasty'), 'a.mkv', 'libx264 does not open here'),
        ({'aspect': Fraction(16, 15)}, LOSSLESS, 'a.mkv', 'pixels are 16/15 wide'),
        ({}, EncoderSettings(), 'nowhere/a.mkv', 'a.mkv cannot be written: No such file'),
    ],
)
def test_what_an_encoder_does_not_take_is_named(changes, settings, output, message, tmp_path):
    with pytest.raises(InputError, match=message) as raised:
        FilmWriter(tmp_path / output, VIDEO._replace(**changes), settings)
    assert '\n' not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('codec', 'wanted', 'expected'),
    [
        ('prores_ks', PixelFormat('yuv', 8, 2, 2), PixelFormat('yuv', 10, 2, 1)),
        ('prores_ks', PixelFormat('yuv', 8, 2, 2, True), PixelFormat('yuv', 10, 1, 1, True)),
        ('libsvtav1', PixelFormat('yuv', 12, 2, 1), PixelFormat('yuv', 10, 2, 2)),
        ('libx264', PixelFormat('yuv', 10, 2, 2), PixelFormat('yuv', 10, 2, 2)),
        ('libx264', PixelFormat('rgb', 8), PixelFormat('yuv', 8, 1, 1)),
        ('libx264', PixelFormat('yuv', 8, 4, 1), PixelFormat('yuv', 8, 2, 1)),
        ('libx265', PixelFormat('gray', 9), PixelFormat('gray', 10)),
        ('ffv1', PixelFormat('rgb', 8, alpha=True), PixelFormat('rgb', 8, alpha=True)),
    ],
)
def test_the_nearest_pixels_lose_least(codec, wanted, expected):
    assert choose_pixels(codec, wanted) == expected


def test_parameters_of_ones_own_come_after_ours(film):
    video = like(read(film('hdr'))[0])
    own = EncoderSettings('libx265', 12.5, 'slow', {'x265-params': 'aq-mode=3', 'tune': 'grain'})
    found = encoders.options(video, own)
    assert found['crf'] == '12.5' and found['preset'] == 'slow' and found['tune'] == 'grain'
    words = found['x265-params'].split(':')
    assert words[-1] == 'aq-mode=3' and 'max-cll=1000,400' in words


def test_all_encoders_of_the_wheel_have_options():
    for codec in encoders.CODECS:
        assert codec in av.codec.codecs_available
        av.Codec(codec, 'w')


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
