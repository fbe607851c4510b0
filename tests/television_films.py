"""Small films as television, discs and camcorders have them: of fields, mostly."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from film_making import RATE, Film, constant, frame, interlaced, picture, png


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


TS_START = 126_007  # no whole millisecond


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


def soft_telecined(path: Path) -> None:
    """MPEG-2 of film as on DVDs: 29.97 frames a second by flags that repeat fields.

    FFmpeg's encoder sets no such flags: they are put into its stream (ISO 13818-2, 6.2.2, 6.2.3).
    """
    size, options = (50, 40), {'bf': '0', 'b': '900k'}
    film = Film(path, 'mpeg2video', size, '1001/24000', '24000/1001', options=options)
    film.write(constant(12, size, 'yuv420p', film.tick, 1))
    film.close()
    data = bytearray(path.read_bytes())
    for place in find(data, b'\x00\x00\x01\xb3'):  # a sequence: its rate is 30000/1001
        data[place + 7] = data[place + 7] & 0xF0 | 4
    pictures = 0
    for place in find(data, b'\x00\x00\x01\xb5'):
        if data[place + 4] >> 4 == 1:  # of a sequence: not all are progressive
            data[place + 5] &= ~8
        if data[place + 4] >> 4 == 8:  # of a picture: upper field first, a field again, progressive
            upper, again = ((1, 1), (0, 0), (0, 1), (1, 0))[pictures % 4]
            data[place + 7] = data[place + 7] & 0x7D | upper << 7 | again << 1
            data[place + 8] |= 0x80
            pictures += 1
    path.write_bytes(data)


def find(data: bytearray, code: bytes) -> list[int]:
    """Returns where a start code stands."""
    return [place for place in range(len(data)) if data.startswith(code, place)]


def two_sizes(path: Path, count: int = 3) -> None:
    """MPEG-2 of so many frames of 34x22, and then of 50x40."""
    parts = []
    for number, size in enumerate(((34, 22), (50, 40))):
        part = path.with_name(f'{number}.m2v')
        film = Film(part, 'mpeg2video', size, '1/25', 25)
        film.write(constant(count, size, 'yuv420p', film.tick, 1))
        film.close()
        parts.append(part.read_bytes())
    path.write_bytes(b''.join(parts))
