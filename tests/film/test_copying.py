"""A film read and written again: times, planes, tags, and all that is copied."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_copies import copy, like, packets, read, seconds

from sr_jax.errors import InputError
from sr_jax.film import streams
from sr_jax.film.encoders import EncoderSettings
from sr_jax.film.info import FilmInfo
from sr_jax.film.muxing import Source, _chapters, notes
from sr_jax.film.writer import output_like


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
