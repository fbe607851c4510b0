"""Small films, made by PyAV: of each kind that people have, a few frames."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from film_making import RATE, Film, constant, frame, interlaced, picture, png
from PIL import Image

TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # a quarter to the left


def mpeg2(path: Path, size: tuple[int, int], rate: Fraction, aspect: Fraction) -> None:
    """Writes MPEG-2 as on DVDs: top field first, pixels that are not square, sound."""
    options = {'flags': '+ildct+ilme', 'bf': '2', 'b': '400k'}
    shape = {'sample_aspect_ratio': aspect}
    film = Film(path, 'mpeg2video', size, 1 / rate, rate, options=options, **shape)
    film.add_sound('mp2', 'deu')
    film.write(interlaced(7, size, film.tick, True, 'tff'))
    film.play(0.2)
    film.close()


def mpeg2_pal(path: Path) -> None:
    """MPEG-2 of 625 lines."""
    mpeg2(path, (50, 40), Fraction(25), Fraction(16, 15))


def mpeg2_ntsc(path: Path) -> None:
    """MPEG-2 of 525 lines."""
    mpeg2(path, (54, 36), Fraction(30000, 1001), Fraction(8, 9))


def dv(path: Path, size: tuple[int, int], rate: Fraction, pixels: str, aspect: Fraction) -> None:
    """Writes DV as camcorders do, whose sizes are fixed: bottom field first."""
    shape = {'sample_aspect_ratio': aspect, 'format': pixels}
    film = Film(path, 'dvvideo', size, 1 / rate, rate, **shape)
    sound = film.output.add_stream('pcm_s16le', rate=48000, layout='stereo')
    film.write(interlaced(5, size, film.tick, False, 'bff', pixels))
    heard = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 9600), np.int16), 's16', 'stereo')
    heard.rate, heard.pts = 48000, 0
    film.output.mux(sound.encode(heard) + sound.encode(None))
    film.close()


def dv_pal(path: Path) -> None:
    """A DV stream without a container, of 625 lines."""
    dv(path, (720, 576), Fraction(25), 'yuv420p', Fraction(16, 15))


def dv_ntsc(path: Path) -> None:
    """DV of 525 lines, 4:1:1."""
    dv(path, (720, 480), Fraction(30000, 1001), 'yuv411p', Fraction(10, 11))


def h264_pal(path: Path) -> None:
    """Interlaced H.264 of 625 lines, as television sends it."""
    size = (46, 36)
    options = {'flags': '+ildct+ilme', 'x264-params': 'tff=1', 'preset': 'ultrafast'}
    shape = {'sample_aspect_ratio': Fraction(64, 45)}
    film = Film(path, 'libx264', size, '1/25', 25, options=options, **shape)
    film.add_sound('mp2', 'deu')
    film.write(interlaced(7, size, film.tick, True, 'tff'))
    film.play(0.2)
    film.close()


ANIMATION_TIMES = (0, 40, 110, 150, 250)
ANIMATION_END = 280


def animation(path: Path) -> None:
    """Writes an animation of uneven times in milliseconds, as a GIF or a WebP."""
    shown = [Image.fromarray(picture(34, 22, 5 * n)).convert('RGB') for n in range(5)]
    lasting = np.diff([*ANIMATION_TIMES, ANIMATION_END]).tolist()
    more = {'lossless': True} if path.suffix == '.webp' else {}
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=lasting, **more)


def disc(path: Path) -> None:
    """H.264 of 525 lines, bottom field first, pixels of 10:11, with all that Matroska holds."""
    chapters = [
        dict(id=1, start=0, end=100, time_base=Fraction(1, 1000), metadata={'title': 'one'}),
        dict(id=2, start=100, end=230, time_base=Fraction(1, 1000), metadata={'title': 'two'}),
    ]
    size = (38, 28)
    options = {'flags': '+ildct+ilme', 'x264-params': 'bff=1', 'preset': 'ultrafast'}
    film = Film(
        path,
        'libx264',
        size,
        '1001/30000',
        '30000/1001',
        options=options,
        sample_aspect_ratio=Fraction(10, 11),
        chapters=chapters,
        metadata={'title': 'A film', 'DIRECTOR': 'nobody'},
        colorspace=6,
        color_range=1,
        color_primaries=6,
        color_trc=6,
    )
    film.add_sound('flac', 'deu', title='Ton')
    film.add_sound('libmp3lame', 'eng')
    words = film.output.add_mux_stream('subrip')
    words.metadata['language'] = 'fra'
    film.output.add_attachment('font.ttf', 'font/ttf', b'not really a font')
    film.output.add_attachment('cover.png', 'image/png', png(7, 5))
    film.sounds[1].disposition = av.stream.Disposition.comment
    words.disposition = av.stream.Disposition.forced
    film.write(interlaced(7, size, film.tick, False, 'bff'))
    film.play(0.25)
    for start, text in ((20, b'Bonjour'), (150, b'Adieu')):
        packet = av.Packet(text)
        packet.stream, packet.time_base = words, Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration, packet.is_keyframe = 70, True
        film.output.mux(packet)
    film.close()


PHONE_TIMES = (0, 20, 41, 60, 104, 105, 140, 141, 163)
PHONE_END = 201


def phone(path: Path) -> None:
    """H.264 of a phone: uneven times, turned, AAC that begins before zero, Apple's tags."""
    size = (34, 22)
    film = Film(
        path,
        'libx264',
        size,
        '1/600',
        30,
        matrix=TURNED,
        container={'movflags': 'use_metadata_tags', 'video_track_timescale': '600'},
        metadata={'com.apple.quicktime.model': 'a phone', 'title': 'Holidays'},
        options={'preset': 'veryfast'},
    )
    film.add_sound('aac', 'und')
    pictures = (
        frame(picture(*size, 5 * number), 'yuv420p', time, film.tick)
        for number, time in enumerate(PHONE_TIMES)
    )
    ends = (*PHONE_TIMES[1:], PHONE_END)
    lengths = {pts: end - pts for pts, end in zip(PHONE_TIMES, ends, strict=True)}
    film.write(pictures, lengths)
    film.play(0.5)
    film.close()


def bought(path: Path) -> None:
    """MP4 with subtitles in its own format, chapters and a cover."""
    size = (34, 22)
    second = Fraction(1, 1000)
    chapters = [
        dict(id=1, start=0, end=120, time_base=second, metadata={'title': 'one'}),
        dict(id=2, start=120, end=240, time_base=second, metadata={'title': 'two'}),
    ]
    film = Film(
        path, 'libx264', size, '1/25', 25, chapters=chapters, metadata={'title': 'Bought'}
    )
    film.add_sound('aac', 'eng')
    words = film.output.add_mux_stream('mov_text')
    words.metadata['language'] = 'fra'
    cover = film.output.add_mux_stream('png', width=7, height=5)
    cover.disposition = av.stream.Disposition.attached_pic
    film.write(constant(6, size, 'yuv420p', film.tick, 1))
    film.play(0.2)
    for stream, data in ((cover, png(7, 5)), (words, b'\x00\x05Salut')):
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, second, True
        packet.pts = packet.dts = 0
        packet.duration = 200
        film.output.mux(packet)
    film.close()


MASTERING = 'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)'


def hdr(path: Path) -> None:
    """HEVC of 10 bits with the tags and numbers of HDR10."""
    size = (66, 38)  # below 64 columns x265's build 217 writes beyond its memory
    params = f'log-level=none:master-display={MASTERING}:max-cll=1000,400'
    film = Film(
        path,
        'libx265',
        size,
        '1/24',
        24,
        format='yuv420p10le',
        options={'x265-params': params, 'preset': 'ultrafast'},
        colorspace=9,
        color_range=1,
        color_primaries=9,
        color_trc=16,
        chroma_sample_location=3,
    )
    film.write(constant(5, size, 'yuv420p10le', film.tick, 1))
    film.close()


def prores(path: Path) -> None:
    """ProRes, 4:2:2 of 10 bits, with two sounds."""
    size = (34, 22)
    film = Film(path, 'prores_ks', size, '1/25', 25, format='yuv422p10le')
    film.add_sound('pcm_s16le', 'deu')
    film.add_sound('pcm_s16le', 'eng')
    film.write(constant(5, size, 'yuv422p10le', film.tick, 1))
    film.play(0.2)
    film.close()


def vp9_alpha(path: Path) -> None:
    """VP9 with alpha in WebM."""
    size = (34, 22)
    film = Film(path, 'libvpx-vp9', size, '1/30', 30, format='yuva420p', options={'cpu-used': '8'})
    film.add_sound('libopus', 'eng')
    film.video.metadata['alpha_mode'] = '1'
    film.write(constant(4, size, 'yuva420p', film.tick, 1))
    film.play(0.1)
    film.close()


def avi(path: Path) -> None:
    """H.264 with B-frames in AVI, which says only when packets are decoded."""
    size = (34, 22)
    film = Film(path, 'libx264', size, '1/25', 25, options={'preset': 'veryfast'})
    film.add_sound('pcm_s16le', 'deu')
    film.write(constant(8, size, 'yuv420p', film.tick, 1))
    film.play(0.3)
    film.close()


TS_START = 126_007  # no whole millisecond


def camera(path: Path) -> None:
    """MOV with a timecode, which is a stream of its own there."""
    film = Film(path, 'libx264', (34, 22), '1/25', 25)
    film.video.metadata['timecode'] = '01:02:03:04'
    film.write(constant(3, (34, 22), 'yuv420p', film.tick, 1))
    film.close()


def two_angles(path: Path) -> None:
    """Sound first, then a small video, then the one that is marked as the default."""
    tick = Fraction(1, 25)
    output = av.open(str(path), 'w')
    sound = output.add_stream('flac', rate=RATE, layout='mono')
    videos = [output.add_stream('mpeg4', rate=25, width=34 + 16 * n, height=22) for n in (0, 1)]
    videos[1].disposition = av.stream.Disposition.default
    wave = (3000 * np.sin(np.arange(RATE // 5) / 4)).astype(np.int16)[None]
    heard = av.AudioFrame.from_ndarray(wave, 's16', 'mono')
    heard.rate, heard.pts, heard.time_base = RATE, 0, Fraction(1, RATE)
    output.start_encoding()
    output.mux(sound.encode(heard) + sound.encode(None))
    for number, stream in enumerate(videos):
        stream.codec_context.time_base = tick
        for each in constant(5, (34 + 16 * number, 22), 'yuv420p', tick, 1):
            output.mux(stream.encode(each))
        output.mux(stream.encode(None))
    output.close()


def broadcast(path: Path) -> None:
    """H.264 and MP2 in MPEG-TS, whose clock begins at 1.4 seconds."""
    size = (34, 22)
    film = Film(
        path,
        'libx264',
        size,
        '1/90000',
        25,
        container={'mpegts_copyts': '1'},
        options={'preset': 'veryfast'},
    )
    film.add_sound('mp2', 'deu')
    film.add_sound('aac', 'eng')
    film.write(constant(8, size, 'yuv420p', film.tick, 3600, TS_START))
    film.play(0.3, first=TS_START * RATE // 90000)
    film.close()


def odd(path: Path) -> None:
    """Lossless, 4:2:0, of odd sides."""
    size = (35, 23)
    film = Film(path, 'ffv1', size, '1/25', 25)
    film.write(constant(4, size, 'yuv420p', film.tick, 1))
    film.close()


def liar(path: Path) -> None:
    """Flagged with the top field first, holds the bottom field first."""
    size = (50, 40)
    options = {'flags': '+ildct+ilme', 'b': '900k', 'qmin': '1'}
    film = Film(path, 'mpeg2video', size, '1/25', 25, options=options)
    film.write(interlaced(12, size, film.tick, False, 'tff'))
    film.close()


def telecined(path: Path) -> None:
    """Film at 24000/1001 in five fields for two frames, without a flag; starts late."""
    size = (50, 40)
    film = Film(path, 'ffv1', size, '1001/30000', '30000/1001')
    lumas = []
    for group in range(4):
        a, b, c, d = (picture(*size, 5 * (4 * group + place)) for place in range(4))
        for top, bottom in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            woven = top.copy()
            woven[1::2] = bottom[1::2]
            lumas.append(woven)
    film.write(frame(luma, 'yuv420p', 3 + place, film.tick) for place, luma in enumerate(lumas))
    film.close()


def two_sizes(path: Path) -> None:
    """MPEG-2 whose frames change from 34x22 to 50x40."""
    parts = []
    for number, size in enumerate(((34, 22), (50, 40))):
        part = path.with_name(f'{number}.m2v')
        film = Film(part, 'mpeg2video', size, '1/25', 25)
        film.write(constant(3, size, 'yuv420p', film.tick, 1))
        film.close()
        parts.append(part.read_bytes())
    path.write_bytes(b''.join(parts))


FILMS: dict[str, tuple[str, Callable[[Path], None]]] = {
    'mpeg2_pal': ('.mpg', mpeg2_pal),
    'mpeg2_ntsc': ('.mpg', mpeg2_ntsc),
    'h264_pal': ('.ts', h264_pal),
    'dv_pal': ('.dv', dv_pal),
    'dv_ntsc': ('.mov', dv_ntsc),
    'gif': ('.gif', animation),
    'webp': ('.webp', animation),
    'disc': ('.mkv', disc),
    'phone': ('.mp4', phone),
    'bought': ('.mp4', bought),
    'hdr': ('.mkv', hdr),
    'prores': ('.mov', prores),
    'vp9_alpha': ('.webm', vp9_alpha),
    'avi': ('.avi', avi),
    'two_angles': ('.mkv', two_angles),
    'camera': ('.mov', camera),
    'broadcast': ('.ts', broadcast),
    'odd': ('.mkv', odd),
    'liar': ('.mpg', liar),
    'telecined': ('.nut', telecined),
}
