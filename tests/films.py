"""Small films, made by PyAV: of each kind that people have, a few frames."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np

RATE = 16000  # of sound
TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # a quarter to the left
BAR = 9


def picture(width: int, height: int, place: int) -> np.ndarray:
    """Returns luma [h, w] with a bright bar on a slope: every row and column differs."""
    image = np.add.outer(np.arange(height), 2 * np.arange(width)) % 60 + 40
    image[:, np.arange(place, place + BAR) % width] += 120
    return image.astype(np.uint8)


def fields(width: int, height: int, number: int, top_first: bool) -> np.ndarray:
    """Returns luma of two moments, woven."""
    moments = [picture(width, height, 5 * (2 * number + late)) for late in (0, 1)]
    woven = moments[0].copy()
    woven[1::2] = moments[1][1::2]
    if not top_first:
        woven[1::2], woven[::2] = moments[0][1::2], moments[1][::2]
    return woven


def frame(luma: np.ndarray, name: str, pts: int, tick: Fraction) -> Any:
    """Returns a frame of FFmpeg's with a luma, and chroma and alpha that vary."""
    height, width = luma.shape
    made = av.VideoFrame(width, height, name)
    for place, plane in enumerate(made.planes):
        wide = made.format.components[0].bits > 8
        rows = np.frombuffer(plane, np.uint16 if wide else np.uint8).reshape(plane.height, -1)
        size = (plane.height, plane.width)
        values = luma if place == 0 else np.add.outer(*map(np.arange, size)) % 50 + 90 + 9 * place
        shift = made.format.components[0].bits - 8
        rows[:, : plane.width] = values[: size[0], : size[1]].astype(rows.dtype) << shift
    made.pts, made.time_base = pts, tick
    return made


def flagged(frames: Iterator[Any], flag: str) -> Iterator[Any]:
    """Yields frames with a flag of their fields: tff or bff."""
    graph = None
    for each in frames:
        if graph is None:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=each.width,
                height=each.height,
                format=each.format.name,
                time_base=each.time_base,
            )
            sink = graph.add('buffersink')
            graph.link_nodes(source, graph.add('setfield', flag), sink).configure()
        graph.push(each)
        yield graph.pull()


class Film:
    """A film that is being made: a video stream, and others."""

    def __init__(self, path: Path, codec: str, size: tuple[int, int], tick: Any, rate: Any, **more):
        self.output = av.open(str(path), 'w', container_options=more.pop('container', {}))
        if 'chapters' in more:
            self.output.set_chapters(more.pop('chapters'))
        self.output.metadata.update(more.pop('metadata', {}))
        self.tick = Fraction(tick)
        stream = self.output.add_stream(codec, rate=Fraction(rate), width=size[0], height=size[1])
        stream.pix_fmt = more.pop('format', 'yuv420p')
        stream.options = more.pop('options', {})
        stream.codec_context.time_base = stream.time_base = self.tick
        matrix = more.pop('matrix', None)
        if matrix:
            stream.set_display_matrix(matrix)
        for name, value in more.items():
            setattr(stream.codec_context, name, value)
        self.video = stream
        self.sounds: list[Any] = []

    def add_sound(self, codec: str, language: str, **more) -> None:
        stream = self.output.add_stream(codec, rate=RATE)
        stream.layout = 'mono'
        stream.metadata.update({'language': language, **more})
        self.sounds.append(stream)

    def write(self, frames: Iterator[Any], durations: dict[int, int] | None = None) -> None:
        for each in frames:
            self._mux(self.video.encode(each), durations)
        self._mux(self.video.encode(None), durations)

    def _mux(self, packets: list[Any], durations: dict[int, int] | None) -> None:
        for packet in packets:
            packet.duration = (durations or {}).get(packet.pts, packet.duration)
            self.output.mux(packet)

    def play(self, seconds: float, first: int = 0) -> None:
        """Writes a tone into every sound stream."""
        for place, stream in enumerate(self.sounds):
            stream.codec_context.open(strict=False)
            size = stream.codec_context.frame_size or 320
            for start in range(0, int(seconds * RATE), size):
                time = np.arange(start, start + size)
                wave = (3000 * np.sin(time / (3 + place))).astype(np.int16)[None]
                sound = av.AudioFrame.from_ndarray(wave, 's16', 'mono')
                sound.rate, sound.pts, sound.time_base = RATE, first + start, Fraction(1, RATE)
                self.output.mux(stream.encode(sound))
            self.output.mux(stream.encode(None))

    def close(self) -> None:
        self.output.close()


def png(width: int, height: int) -> bytes:
    """Returns a small picture as a file's bytes."""
    context = av.CodecContext.create('png', 'w')
    context.width, context.height, context.pix_fmt = width, height, 'gray'
    context.time_base = Fraction(1, 25)
    (packet,) = context.encode(frame(picture(width, height, 1), 'gray', 0, Fraction(1, 25)))
    return bytes(packet)


def constant(
    count: int, size: tuple[int, int], name: str, tick: Fraction, step: int, start: int = 0
) -> Iterator[Any]:
    """Yields frames at even times."""
    for number in range(count):
        yield frame(picture(*size, 5 * number), name, start + number * step, tick)


def interlaced(
    count: int, size: tuple[int, int], tick: Fraction, top_first: bool, flag: str
) -> Iterator[Any]:
    """Yields frames of two fields each, flagged as said, whatever they hold."""
    woven = (
        frame(fields(*size, number, top_first), 'yuv420p', number, tick) for number in range(count)
    )
    return flagged(woven, flag) if flag else woven


def mpeg2_pal(path: Path) -> None:
    """MPEG-2 of 625 lines: top field first, pixels of 16:15, sound."""
    options = {'flags': '+ildct+ilme', 'bf': '2', 'b': '400k'}
    size = (50, 40)
    wide = Fraction(16, 15)
    film = Film(path, 'mpeg2video', size, '1/25', 25, options=options, sample_aspect_ratio=wide)
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


FILMS: dict[str, tuple[str, Callable[[Path], None]]] = {
    'mpeg2_pal': ('.mpg', mpeg2_pal),
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
