"""Making small films by PyAV: their pictures, their streams, and what stands in them."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np

RATE = 16000  # of sound
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
    count: int,
    size: tuple[int, int],
    tick: Fraction,
    top_first: bool,
    flag: str,
    name: str = 'yuv420p',
) -> Iterator[Any]:
    """Yields frames of two fields each, flagged as said, whatever they hold."""
    woven = (
        frame(fields(*size, number, top_first), name, number, tick) for number in range(count)
    )
    return flagged(woven, flag) if flag else woven
