"""Packets into a container: the video's, and everything else of the film it came from."""

import contextlib
import math
import sys
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.errors import InputError
from sr_jax.film import encoders, streams
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.ffmpeg import ERRORS, REFUSALS, av, in_one_line, open_container
from sr_jax.film.info import FilmInfo
from sr_jax.film.streams import Span
from sr_jax.images.atomic import remove_left_over, whole_file

PIPE = Path('-')
# Containers that count in ticks of their own.
TICKS = {
    'matroska': Fraction(1, 1000),
    'webm': Fraction(1, 1000),
    'mpegts': Fraction(1, 90000),
}
HDR_CODECS = ', '.join(encoders.PARAMETERS)
# Tags that MP4 and MOV hold in their older form; any other needs the newer one, without a cover.
COMMON_TAGS = {
    *('title', 'artist', 'album_artist', 'album', 'composer', 'comment', 'date', 'genre'),
    *('copyright', 'description', 'synopsis', 'show', 'grouping', 'lyrics', 'encoder'),
    *('creation_time', 'timecode'),
}


def is_raw(output: Path) -> bool:
    """Returns whether an output is raw video, which knows a rate and no times."""
    return output == PIPE or streams.container_of(output) in streams.VIDEO_ONLY


class Source(NamedTuple):
    """A film of which everything but the video is copied.

    Attributes:
      info: what it is.
      leave_out: numbers of streams that are not copied.
      start: 'keep' leaves all times as they are; 'zero' moves all, so that the first is 0.
      span: from when to when it is copied, in seconds; None: from the beginning, to the end. Where
        it begins later, all times are counted from there.
    """

    info: FilmInfo
    leave_out: Collection[int] = ()
    start: str = 'keep'
    span: Span = (None, None)


class Muxer:
    """A film that is being written: packets of video in, all other streams copied in step.

    Args:
      file: where to; or a binary file object, with `container`.
      container: FFmpeg's name of it.
      video: what the packets hold.
      settings: of the encoder that makes or made them.
      source: what the other streams are copied from; None: there are none.
    """

    def __init__(
        self,
        file: Any,
        container: str,
        video: OutputVideo,
        settings: EncoderSettings,
        source: Source | None = None,
    ):
        self._time_base = video.time_base
        self._shift = 0
        if source and source.span[0] is not None:
            self._shift = -math.floor(source.span[0] / video.time_base)
        elif source and source.start == 'zero':
            self._shift = -first_tick(source.info, video.time_base)
        shift = self._shift * video.time_base
        self._copied = None
        named = container_options(container, video, source)
        self.output = av.open(file, 'w', format=container, container_options=named)
        if source:
            self.output.set_chapters(_chapters(source, shift, container))
            self.output.metadata.update(streams.film_metadata(source.info.metadata))
        self.stream = self._add_video(container, video, settings)
        if source:
            path, number = source.info.path, source.info.video.number
            self._copied = streams.CopiedStreams(
                path, number, self.output, source.leave_out, shift, source.span
            )

    def _add_video(self, container: str, video: OutputVideo, settings: EncoderSettings) -> Any:
        encoders.check(video, settings)
        refusal = f'{container} does not hold what {settings.codec} makes: take .mkv, or another'
        if settings.codec in encoders.NOT_IN.get(container, ()):
            raise InputError(f'{refusal} --codec')
        try:
            stream: Any = self.output.add_stream(settings.codec, rate=video.rate)
        except REFUSALS as error:
            raise InputError(f'{refusal} --codec') from error
        if settings.codec in encoders.WITHOUT_ASPECT and container not in ('mp4', 'mov'):
            if (video.aspect or 1) != 1:
                raise InputError(
                    f'{settings.codec} in {container} cannot say that pixels are {video.aspect} '
                    'wide: take --codec libx264 or libx265, .mov or .mp4, or square pixels'
                )
        encoders.configure(stream.codec_context, video, settings)
        stream.time_base = video.time_base
        if settings.codec in encoders.HEVC and container in ('mp4', 'mov'):
            stream.codec_context.codec_tag = 'hvc1'
        if video.matrix:
            stream.set_display_matrix(video.matrix)
        stream.metadata.update(video.metadata)
        stream.disposition = video.disposition
        encoders.open_encoder(stream.codec_context, settings)
        return stream

    def write(self, packets: list[Any]) -> None:
        """Writes packets of the video, and what of the other streams is due by then."""
        for packet in packets:
            if self._copied:
                self._copied.write_until(packet.dts * self._time_base)
            packet.pts += self._shift
            packet.dts += self._shift
            packet.stream = self.stream
            packet.time_base = self._time_base
            self.output.mux(packet)

    def finish(self) -> None:
        """Writes the rest of the other streams, and the end."""
        if self._copied:
            self._copied.write_until(None)
        self.output.close()

    def release(self) -> None:
        """Closes what is open, whatever state it is in."""
        with contextlib.suppress(*ERRORS):
            self.output.close()
        if self._copied:
            self._copied.close()


def container_options(
    container: str, video: OutputVideo, source: Source | None
) -> dict[str, str]:
    """Returns the muxer's options: times to the tick, and all tags."""
    if container == 'mpegts':
        return {'mpegts_copyts': '1'}
    if container in streams.VIDEO_ONLY:
        return {'strict': '-1'}
    if container not in ('mp4', 'mov'):
        return {}
    others = source.info.streams if source else ()
    named = {'video_track_timescale': str(video.time_base.denominator)}
    uncommon = source and set(streams.film_metadata(source.info.metadata)) - COMMON_TAGS
    if uncommon and not any(stream.kind == 'cover' for stream in others):
        named['movflags'] = 'use_metadata_tags'
    return named


def _chapters(source: Source, shift: Fraction, container: str) -> list[Any]:
    """Returns the chapters, cut and moved by so many seconds, as PyAV takes them."""
    if container not in streams.WITH_CHAPTERS:
        return []
    found = []
    for number, chapter in enumerate(source.info.chapters, start=1):
        tick = chapter.time_base
        begin, end = (None if time is None else round(time / tick) for time in source.span)
        first = chapter.start if begin is None else max(chapter.start, begin)
        last = chapter.end if end is None else min(chapter.end, end)
        if first >= last and source.span != (None, None):
            continue
        moved = round(shift / tick)
        times = {'start': first + moved, 'end': last + moved, 'time_base': tick}
        found.append({'id': number, 'metadata': chapter.metadata, **times})
    return found


def open_muxer(
    stack: contextlib.ExitStack,
    output: Path,
    video: OutputVideo,
    settings: EncoderSettings,
    source: Source | None,
) -> Muxer:
    """Returns a film that is being written; leaving the stack moves it to its place.

    Raises:
      InputError: the container cannot hold something, or the encoder does not take the frames.
    """
    container = 'yuv4mpegpipe' if output == PIPE else streams.container_of(output)
    if is_raw(output):
        settings, source = EncoderSettings('rawvideo'), None
    if output == PIPE:
        muxer = Muxer(sys.stdout.buffer, container, video, settings)
        stack.callback(muxer.release)
        return muxer
    if source:
        path, number = source.info.path, source.info.video.number
        if output.exists() and output.samefile(path):
            raise InputError(f'{output} is the film itself: take another --output')
        with contextlib.closing(open_container(path)) as opened:
            streams.check_held(opened, number, output, source.leave_out)
    remove_left_over([output])
    partial = stack.enter_context(whole_file(output))
    with in_one_line(f'{output} cannot be written'):
        muxer = Muxer(str(partial), container, video, settings, source)
    stack.callback(muxer.release)
    return muxer


def first_tick(info: FilmInfo, time_base: Fraction) -> int:
    """Returns the earliest start of a film's streams, in whole ticks, rounded down."""
    starts = [stream.start for stream in info.streams if stream.start is not None]
    return math.floor(min(starts, default=Fraction(0)) / time_base)


def notes(output: Path, video: OutputVideo, settings: EncoderSettings) -> list[str]:
    """Returns, in words, what of a video an output does not keep exactly."""
    container = 'yuv4mpegpipe' if output == PIPE else streams.container_of(output)
    if is_raw(output):
        return ['raw video has a constant rate, and neither tags nor other streams']
    found = []
    tick = TICKS.get(container)
    if tick and (video.time_base / tick).denominator != 1:
        found.append(f'{container} counts in {tick} s: times are rounded to the nearest tick')
    if (video.mastering or video.light) and settings.codec not in encoders.PARAMETERS:
        found.append(f'{settings.codec} does not hold what is said of HDR: {HDR_CODECS} do')
    return found
