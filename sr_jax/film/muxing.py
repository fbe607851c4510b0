"""Packets into a container: the video's, and everything else of the film it came from."""

import contextlib
import math
import os
import sys
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError
from sr_jax.film import encoders, streams
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.ffmpeg import ERRORS, av, in_one_line, open_container, tick_of

PIPE = Path('-')
MAX_TIMESCALE = 2**31 - 1
# Tags that MP4 and MOV hold in their older form; any other needs the newer one, without a cover.
COMMON_TAGS = {
    *('title', 'artist', 'album_artist', 'album', 'composer', 'comment', 'date', 'genre'),
    *('copyright', 'description', 'synopsis', 'show', 'grouping', 'lyrics', 'encoder'),
    *('creation_time', 'timecode'),
}


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a name beside a file's, under which it is written; it is moved at the end.

    Raises:
      InputError: it cannot be written; nothing is left behind then.
    """
    partial = path.with_name(f'.{path.stem}.{os.getpid()}.partial{path.suffix}')
    try:
        partial.unlink(missing_ok=True)
        partial.touch(exist_ok=False)  # never through a link that somebody laid there
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


class Muxer:
    """A film that is being written: packets of video in, all other streams copied in step.

    Args:
      file: where to; or a binary file object, with `container`.
      container: FFmpeg's name of it.
      video: what the packets hold.
      settings: of the encoder that makes or made them.
      source: the film that the other streams are copied from; None: there are none.
      source_video: the number of its video stream.
      leave_out: numbers of its streams that are not copied.
      shift: ticks that are added to every time of the video, and as much time to all others.
    """

    def __init__(
        self,
        file: Any,
        container: str,
        video: OutputVideo,
        settings: EncoderSettings,
        source: Path | None = None,
        source_video: int = 0,
        leave_out: Collection[int] = (),
        shift: int = 0,
    ):
        self._time_base = video.time_base
        self._shift = shift
        self._copied = None
        with contextlib.ExitStack() as stack:
            opened = open_container(source) if source else None
            if opened:
                stack.callback(opened.close)
            named = container_options(container, video, opened, source_video)
            self.output = av.open(file, 'w', format=container, container_options=named)
            if opened:  # before streams: PyAV
                self.output.set_chapters(_chapters(opened, shift * video.time_base, container))
                self.output.metadata.update(streams.film_metadata(opened))
        self.stream = self._add_video(container, video, settings)
        if source:
            seconds = shift * video.time_base
            self._copied = streams.CopiedStreams(
                source, source_video, self.output, leave_out, seconds
            )

    def _add_video(self, container: str, video: OutputVideo, settings: EncoderSettings) -> Any:
        encoders.check(video, settings)
        try:
            stream: Any = self.output.add_stream(settings.codec, rate=video.rate)
        except ERRORS as error:
            raise InputError(
                f'{container} does not hold what {settings.codec} makes: take .mkv, or another '
                '--codec'
            ) from error
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
            if self.output.format.name == 'mpegts':
                packet = self._with_head(packet)
            packet.pts += self._shift
            packet.dts += self._shift
            packet.stream = self.stream
            packet.time_base = self._time_base
            self.output.mux(packet)

    def _with_head(self, packet: Any) -> Any:
        """Returns a packet that a player can begin with, in a container without a head."""
        head = self.stream.codec_context.extradata
        if not packet.is_keyframe or not head:
            return packet
        whole = av.Packet(head + bytes(packet))
        whole.pts, whole.dts, whole.duration = packet.pts, packet.dts, packet.duration
        whole.is_keyframe = True
        return whole

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
    container: str, video: OutputVideo, source: Any, source_video: int
) -> dict[str, str]:
    """Returns the muxer's options: times to the tick, and tags and dispositions as they were."""
    if container in ('matroska', 'webm'):
        return {'default_mode': 'passthrough'}
    if container == 'mpegts':
        return {'mpegts_copyts': '1'}
    if container in streams.VIDEO_ONLY:
        return {'strict': '-1'}
    if container not in ('mp4', 'mov'):
        return {}
    scale = video.time_base.denominator
    others = streams.beside_the_video(source, source_video) if source else []
    film = math.lcm(scale, *[tick_of(stream).denominator for stream in others])
    named = {'video_track_timescale': str(scale)}
    named['movie_timescale'] = str(film if film <= MAX_TIMESCALE else scale)
    uncommon = source and set(streams.film_metadata(source)) - COMMON_TAGS
    has_cover = any(streams.describe(stream).kind == 'cover' for stream in others)
    if uncommon and not has_cover:
        named['movflags'] = 'use_metadata_tags'
    return named


def _chapters(source: Any, shift: Fraction, container: str) -> list[Any]:
    """Returns the chapters, moved by so many seconds."""
    if container not in streams.WITH_CHAPTERS:
        return []
    found = []
    for number, chapter in enumerate(source.chapters()):
        ticks = round(shift / Fraction(chapter['time_base']))
        start, end = chapter['start'] + ticks, chapter['end'] + ticks
        found.append({**chapter, 'id': number + 1, 'start': start, 'end': end})
    return found


def open_muxer(
    stack: contextlib.ExitStack,
    output: Path,
    video: OutputVideo,
    settings: EncoderSettings,
    source: Path | None,
    source_video: int,
    leave_out: Collection[int],
    start: str,
) -> Muxer:
    """Returns a film that is being written; leaving the stack moves it to its place.

    Raises:
      InputError: the container cannot hold something, or the encoder does not take the frames.
    """
    container = 'yuv4mpegpipe' if output == PIPE else streams.container_of(output)
    if container in streams.VIDEO_ONLY:
        settings, source = EncoderSettings('rawvideo'), None
    if output == PIPE:
        muxer = Muxer(sys.stdout.buffer, container, video, settings)
        stack.callback(muxer.release)
        return muxer
    if source and output.exists() and output.samefile(source):
        raise InputError(f'{output} is the film itself: take another --output')
    shift = 0
    if source:
        opened = stack.enter_context(open_container(source))
        streams.check_held(opened, source_video, output, leave_out)
        shift = -first_tick(opened, video.time_base) if start == 'zero' else 0
    partial = stack.enter_context(whole_file(output))
    with in_one_line(f'{output} cannot be written'):
        muxer = Muxer(
            str(partial), container, video, settings, source, source_video, leave_out, shift
        )
    stack.callback(muxer.release)
    return muxer


def first_tick(source: Any, time_base: Fraction) -> int:
    """Returns the earliest start of a film's streams, in whole ticks, rounded down."""
    starts = [streams.describe(stream).start for stream in source.streams]
    return math.floor(min((start for start in starts if start is not None), default=0) / time_base)
