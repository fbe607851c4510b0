"""Films that are read: what is said of them, and what is refused in one line."""

import subprocess
import sys
from fractions import Fraction

import av
import films
import numpy as np
import pytest
from film_copies import read
from television_films import TS_START, two_sizes

from sr_jax.errors import InputError
from sr_jax.film.fields import Deinterlacing
from sr_jax.film.formats import ColorDescription, FrameKind, PixelFormat
from sr_jax.film.reader import open_film


def test_a_phones_film_is_described(film):
    info, frames = read(film('phone'))
    video = info.video
    assert (video.codec, video.width, video.height) == ('h264', 34, 22)
    assert video.matrix == films.TURNED
    assert video.time_base == Fraction(1, 600)
    assert [frame.pts for frame in frames] == list(films.PHONE_TIMES)
    ends = (*films.PHONE_TIMES[1:], films.PHONE_END)
    assert [frame.pts + frame.duration for frame in frames] == list(ends)
    assert [stream.kind for stream in info.streams] == ['video', 'audio']
    assert info.metadata['com.apple.quicktime.model'] == 'a phone'
    assert not video.is_tagged


def test_tags_of_hdr_are_described(film):
    video = read(film('hdr'))[0].video
    assert video.pixels == PixelFormat('yuv', 10, 2, 2)
    expected = ColorDescription('bt2020nc', 'limited', 'bt2020', 'smpte2084', 'topleft')
    assert video.color == expected
    assert video.is_tagged
    assert video.mastering.red == (Fraction(17, 25), Fraction(8, 25))
    assert video.mastering.white == (Fraction(3127, 10000), Fraction(329, 1000))
    assert video.mastering.min_luminance == Fraction(1, 200)
    assert video.mastering.max_luminance == 1000
    assert video.light == (1000, 400)


def test_all_streams_and_chapters_are_described(film):
    info, frames = read(film('disc'))
    assert info.video.aspect == Fraction(10, 11)
    assert [str(stream) for stream in info.streams[1:]] == [
        "stream 1: audio flac, deu, 'Ton'",
        'stream 2: audio mp3, eng, comment',
        'stream 3: subtitle subrip, fra, forced',
        'stream 4: attachment font.ttf',
        'stream 5: cover png',
    ]
    times = [(c.start * c.time_base, c.end * c.time_base) for c in info.chapters]
    assert times == [(0, Fraction(1, 10)), (Fraction(1, 10), Fraction(23, 100))]
    assert [c.metadata['title'] for c in info.chapters] == ['one', 'two']
    assert frames[0].key and not frames[1].key


def test_an_edit_list_takes_away_what_is_before_the_start(tmp_path):
    path = tmp_path / 'cut.mp4'
    tick, size = Fraction(1, 25), (34, 22)
    film = films.Film(path, 'mpeg4', size, tick, 25, container={'avoid_negative_ts': 'disabled'})
    film.write(films.constant(8, size, 'yuv420p', tick, 1, start=-3))
    film.close()
    info, frames = read(path)
    assert [frame.pts * frame.time_base for frame in frames] == [n * tick for n in range(5)]
    last = frames[-1]
    assert (last.pts + last.duration) * last.time_base == 5 * tick
    copies = [np.abs(frames[0].planes[0].astype(int) - films.picture(*size, 5 * n)) for n in (0, 3)]
    assert copies[1].mean() < copies[0].mean()
    assert info.video.start == 0


def test_frames_last_as_long_as_their_fields(film):
    with open_film(film('soft_telecined')) as opened:
        lasting = [frame.duration * frame.time_base for frame in opened]
    field = Fraction(1001, 60000)
    assert lasting[:10] == 5 * [3 * field, 2 * field]


def test_alpha_and_starts_are_kept(film):
    info, frames = read(film('vp9_alpha'))
    assert info.video.pixels == PixelFormat('yuv', 8, 2, 2, True)
    assert len({plane.shape for plane in frames[0].planes}) == 2
    assert read(film('broadcast'))[1][0].pts == TS_START


def test_frames_of_avi_come_in_the_order_of_showing(film):
    with open_film(film('avi')) as opened:
        frames = list(opened)
    assert np.all(np.diff([frame.pts for frame in frames]) == 1)
    luma = [frame.planes[0].astype(int) for frame in frames]
    for number, found in enumerate(luma):
        errors = [np.abs(found - films.picture(34, 22, 5 * n)).mean() for n in range(8)]
        assert np.argmin(errors) == number


@pytest.mark.parametrize(
    ('name', 'first'), [('phone', 105), ('disc', 100), ('broadcast', TS_START + 14_400)]
)
def test_a_film_is_read_from_a_time_on(name, first, film):
    _, frames = read(film(name))
    with open_film(film(name), from_time=first * frames[0].time_base) as opened:
        rest = list(opened)
    expected = [frame for frame in frames if frame.pts >= first]
    assert [frame.pts for frame in rest] == [frame.pts for frame in expected]
    for frame, again in zip(expected, rest, strict=True):
        assert all(map(np.array_equal, frame.planes, again.planes))


@pytest.mark.parametrize('mode', ['fields', 'telecine'])
def test_filtered_frames_are_the_same_from_a_time_on(mode, film):
    plan = Deinterlacing(mode, 'tff')
    with open_film(film('telecined'), plan) as opened:
        frames = list(opened)
    with open_film(film('telecined'), plan, frames[9].pts * opened.time_base) as opened:
        rest = list(opened)
    assert [frame.pts for frame in rest] == [frame.pts for frame in frames[9:]]
    for frame, again in zip(frames[9:], rest, strict=True):
        assert all(map(np.array_equal, frame.planes, again.planes))


@pytest.mark.parametrize(
    ('suffix', 'codec', 'plan', 'is_entered'),
    [
        ('.mkv', 'libx264', Deinterlacing(), True),
        ('.mp4', 'libx264', Deinterlacing('frames', 'tff'), True),
        ('.mpg', 'mpeg2video', Deinterlacing(), False),
    ],
)
def test_a_long_film_is_entered_at_a_key_frame(suffix, codec, plan, is_entered, tmp_path):
    path = tmp_path / f'long{suffix}'
    tick, size = Fraction(1, 25), (34, 22)
    options = {'g': '12', 'bf': '2', 'sc_threshold': '0'}
    film = films.Film(path, codec, size, tick, 25, options=options)
    film.write(films.constant(140, size, 'yuv420p', tick, 1))
    film.close()
    with open_film(path, plan) as opened:
        frames = list(opened)
    for number in (77, 96, 131):
        with open_film(path, plan, frames[number].pts * frames[0].time_base) as opened:
            assert (opened._decoder.first.pts > frames[0].pts) == is_entered
            rest = list(opened)
        assert [frame.pts for frame in rest] == [frame.pts for frame in frames[number:]]
        for frame, again in zip(frames[number:], rest, strict=True):
            assert all(map(np.array_equal, frame.planes, again.planes))


@pytest.mark.parametrize('plan', [Deinterlacing(), Deinterlacing('fields', 'tff')])
def test_frames_of_two_sizes_are_the_same_from_a_time_on(plan, tmp_path):
    stream, path = tmp_path / 'two.m2v', tmp_path / 'two.mkv'
    two_sizes(stream, 70)
    with av.open(str(stream)) as given, av.open(str(path), 'w') as output:
        target = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = target
                output.mux(packet)
    color = ColorDescription('bt601', 'limited', chroma='left')
    how = (FrameKind(22, 34, PixelFormat('yuv', 8, 2, 2), color), True)
    with open_film(path, plan, None, *how) as opened:
        whole = list(opened)
        assert opened.resized == 70 * (2 if plan.mode == 'fields' else 1)
    assert {frame.planes[0].shape for frame in whole} == {(22, 34)}
    for second, width in ((Fraction(3, 2), 34), (Fraction(9, 2), 50)):
        with open_film(path, plan, second, *how) as opened:
            rest = list(opened)
            assert opened.info.video.width == width  # it was entered there
        expected = [f for f in whole if (f.pts + f.duration) * f.time_base > second]
        for frame, again in zip(expected, rest, strict=True):
            assert frame.pts == again.pts
            assert all(map(np.array_equal, frame.planes, again.planes))


@pytest.mark.parametrize(('name', 'kept'), [('phone.mp4', 0.6), ('disc.mkv', 0.8)])
def test_a_film_that_was_cut_off_says_how_much_is_missing(name, kept, tmp_path):
    path = tmp_path / name
    size, tick = (34, 22), Fraction(1, 5)
    container = {'movflags': 'faststart'} if name.endswith('mp4') else {}
    codec = 'ffv1' if 'mkv' in name else 'mpeg4'
    film = films.Film(path, codec, size, tick, 5, container=container)
    film.write(films.constant(20, size, 'yuv420p', tick, 1))
    film.close()
    whole = path.read_bytes()
    with open_film(path) as opened:
        frames = len(list(opened))
        assert frames == 20 and opened.missing == 0
    path.write_bytes(whole[: int(len(whole) * kept)])
    with open_film(path) as opened:
        rest = len(list(opened))
    assert 0 < rest < frames
    assert abs(opened.missing - Fraction(frames - rest, 5)) <= Fraction(1, 100)


def test_damage_in_the_middle_is_counted_and_passed_over(tmp_path):
    path = tmp_path / 'damaged.mkv'
    films.odd(path)
    data = bytearray(path.read_bytes())
    whole, _ = read(path)
    middle = len(data) // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)
    with open_film(path) as opened:
        frames = list(opened)
    assert (opened.info.video.width, len(frames) + opened.damaged) == (whole.video.width, 4)


def encrypted(path):
    options = {
        'encryption_scheme': 'cenc-aes-ctr',
        'encryption_key': '76a6c65c5ea762046bd749a2e632ccbb',
        'encryption_kid': 'a7e61c373e219033c21091fa607bf3b8',
    }
    film = films.Film(path, 'libx264', (34, 22), '1/25', 25, container=options)
    film.write(films.constant(3, (34, 22), 'yuv420p', film.tick, 1))
    film.close()


def sound_only(path):
    with av.open(str(path), 'w') as output:
        stream = output.add_stream('flac', rate=8000, layout='mono')
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), 's16', 'mono')
        sound.rate, sound.pts = 8000, 0
        output.mux(stream.encode(sound) + stream.encode(None))


def no_frames(path):
    """Writes a film whose only packet is not what it says."""
    with av.open(str(path), 'w') as output:
        stream = output.add_mux_stream('mpeg4', rate=25, width=34, height=22)
        stream.time_base = Fraction(1, 25)
        packet = av.Packet(b'nothing that could be decoded')
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
        output.mux(packet)


def unknown_codec(path):
    sound_only(path)
    films.odd(path)
    path.write_bytes(path.read_bytes().replace(b'V_FFV1', b'V_WHAT'))


@pytest.mark.parametrize(
    ('name', 'make', 'message'),
    [
        ('none.mkv', lambda path: None, 'there is no such file'),
        ('empty.mkv', lambda path: path.touch(), 'not a film that FFmpeg reads'),
        ('text.mp4', lambda path: path.write_text('words ' * 99), 'not a film that FFmpeg reads'),
        ('sound.mkv', sound_only, 'holds no video'),
        ('two.m2v', two_sizes, 'change from 34x22 to 50x40'),
        ('locked.mp4', encrypted, 'is encrypted: decrypt it first'),
        ('nothing.mkv', no_frames, 'no frame that can be decoded'),
        ('unknown.mkv', unknown_codec, 'of a codec that this FFmpeg cannot decode'),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(name, make, message, tmp_path):
    path = tmp_path / name
    make(path)
    with pytest.raises(InputError, match=message) as raised:
        read(path)
    assert '\n' not in str(raised.value) and name in str(raised.value)


def test_without_pyav_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['av'] = None\n"
        'from sr_jax.errors import exit_status\n'
        'from sr_jax.commands import film_report\n'
        'import argparse\n'
        "given = argparse.Namespace(films=['a.mkv'], json=False)\n"
        'sys.exit(exit_status(lambda: film_report.run(given)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 1
    expected = "films need PyAV, and it Python 3.12: pip install 'sr_jax[video]'"
    assert done.stderr == f'error: {expected}\n'
