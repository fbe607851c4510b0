"""Small films, made by PyAV: of each kind that people have, a few frames."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from film_making import RATE, Film, constant, frame, picture, png
from PIL import Image
from television_films import (
    broadcast,
    disc,
    dv_ntsc,
    dv_pal,
    h264_pal,
    liar,
    mpeg2_ntsc,
    mpeg2_pal,
    soft_telecined,
    telecined,
)

TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # a quarter to the left


ANIMATION_TIMES = (0, 40, 110, 150, 250)
ANIMATION_END = 280


def animation(path: Path) -> None:
    """Writes an animation of uneven times in milliseconds, as a GIF or a WebP."""
    shown = [Image.fromarray(picture(34, 22, 5 * n)).convert('RGB') for n in range(5)]
    lasting = np.diff([*ANIMATION_TIMES, ANIMATION_END]).tolist()
    more = {'lossless': True} if path.suffix == '.webp' else {}
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=lasting, **more)


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


def odd(path: Path) -> None:
    """Lossless, 4:2:0, of odd sides."""
    size = (35, 23)
    film = Film(path, 'ffv1', size, '1/25', 25)
    film.write(constant(4, size, 'yuv420p', film.tick, 1))
    film.close()


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
    'soft_telecined': ('.m2v', soft_telecined),
}
