"""What a film is: its video stream, and all others."""

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.film import h273, hdr, pixels
from sr_jax.film.decoding import Decoder
from sr_jax.film.ffmpeg import av, clean, fraction, rates_of, tick_of
from sr_jax.film.fields import STREAM_ORDERS
from sr_jax.film.formats import UNSPECIFIED, ColorDescription, PixelFormat
from sr_jax.film.streams import StreamInfo, describe, video_metadata

# Metadata of single frames that nothing here carries on.
OF_FRAMES = ('DYNAMIC_HDR_PLUS', 'DOVI_RPU_BUFFER', 'DYNAMIC_HDR_VIVID')


class VideoInfo(NamedTuple):
    """The video stream of a film.

    Attributes:
      number: its place among the film's streams.
      codec: FFmpeg's name.
      width, height: of its first frame, in pixels as stored.
      pixels: what the planes hold.
      color: its tags, of which any may be 'unspecified'.
      time_base: seconds of a tick.
      average_rate, nominal_rate: frames a second; None where not said.
      start, duration: in ticks; None where not said.
      aspect: width of a pixel by its height; None where not said.
      matrix: FFmpeg's display matrix; None where the film is not turned.
      field_order: 'progressive', 'top first', 'bottom first' or 'unknown', by the stream.
      mastering, light: of HDR.
      not_carried: side data of frames that a writer drops.
      metadata: tags that hold of another video too.
      disposition: FFmpeg's bits.
    """

    number: int
    codec: str
    width: int
    height: int
    pixels: PixelFormat
    color: ColorDescription
    time_base: Fraction
    average_rate: Fraction | None
    nominal_rate: Fraction | None
    start: int | None
    duration: int | None
    aspect: Fraction | None
    matrix: tuple[int, ...] | None
    field_order: str
    mastering: hdr.Mastering | None
    light: hdr.Light | None
    not_carried: tuple[str, ...]
    metadata: dict[str, str]
    disposition: int

    @property
    def is_tagged(self) -> bool:
        """Whether the film says by which matrix its colors are made."""
        return self.color.matrix != UNSPECIFIED or self.pixels.layout == 'rgb'


class Chapter(NamedTuple):
    """A chapter: its start and end in ticks, the seconds of a tick, and its tags."""

    start: int
    end: int
    time_base: Fraction
    metadata: dict[str, str]


class FilmInfo(NamedTuple):
    """A film.

    Attributes:
      path: where it lies.
      format: FFmpeg's name of the container.
      start, duration: seconds; None where not said.
      video: the video stream that is read.
      streams: all streams.
      chapters: in their order.
      metadata: tags of the film.
    """

    path: Path
    format: str
    start: Fraction | None
    duration: Fraction | None
    video: VideoInfo
    streams: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]
    metadata: dict[str, str]


def describe_film(path: Path, decoder: Decoder) -> FilmInfo:
    """Returns what a film is whose first frame has been decoded."""
    container = decoder.container
    start, duration = container.start_time, container.duration
    chapters = [
        Chapter(each['start'], each['end'], Fraction(each['time_base']), clean(each['metadata']))
        for each in container.chapters()
    ]
    return FilmInfo(
        path,
        container.format.name,
        None if start is None else Fraction(start, av.time_base),
        None if duration is None else Fraction(duration, av.time_base),
        _describe_video(decoder.stream, decoder.context, decoder.first),
        tuple(describe(stream) for stream in container.streams),
        tuple(chapters),
        clean(container.metadata),
    )


def _describe_video(stream: Any, context: Any, frame: Any) -> VideoInfo:
    found = hdr.of_frame(frame)
    coded = context.coded_side_data
    mastering = coded.get('mastering_display_metadata') or found[0]
    light = coded.get('content_light_level') or found[1]
    names = {kind.name for kind in frame.side_data}
    return VideoInfo(
        stream.index,
        context.codec.canonical_name,
        frame.width,
        frame.height,
        pixels.describe(frame.format.name),
        _merge(h273.read(context), h273.read_frame(frame)),
        tick_of(stream),
        *rates_of(stream),
        stream.start_time,
        stream.duration,
        fraction(stream.sample_aspect_ratio),
        _matrix(coded, frame),
        STREAM_ORDERS.get(context.field_order, 'unknown'),
        hdr.read_mastering(mastering),
        hdr.read_light(light),
        tuple(name for name in OF_FRAMES if name in names),
        video_metadata(stream),
        int(stream.disposition),
    )


def _merge(stream: ColorDescription, frame: ColorDescription) -> ColorDescription:
    """Returns what the stream says, and what only its first frame says."""
    pairs = zip(stream, frame, strict=True)
    return ColorDescription(*(of if of != UNSPECIFIED else other for of, other in pairs))


def _matrix(coded: dict[str, bytes], frame: Any) -> tuple[int, ...] | None:
    """Returns the display matrix of the stream, or of its first frame."""
    data = coded.get('display_matrix')
    kind = next((key for key in frame.side_data if key.name == 'DISPLAYMATRIX'), None)
    if data is None and kind is not None:
        data = bytes(frame.side_data[kind])
    return tuple(memoryview(data).cast('i')) if data else None
