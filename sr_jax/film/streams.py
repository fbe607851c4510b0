"""The streams beside the video: what they are, what a container holds, and copying them.

Packets are copied as they are; only the containers' own framing differs (MPEG-TS marks each packet
of AAC, Matroska does not).
"""

import io
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from sr_jax.errors import InputError
from sr_jax.film.ffmpeg import (
    REFUSALS,
    av,
    clean,
    clean_text,
    in_one_line,
    open_container,
    packets_until_damage,
    tick_of,
)

# FFmpeg's name of the container by a file's suffix.
CONTAINERS = {
    '.mkv': 'matroska',
    '.mp4': 'mp4',
    '.m4v': 'mp4',
    '.mov': 'mov',
    '.webm': 'webm',
    '.ts': 'mpegts',
    '.nut': 'nut',
    '.y4m': 'yuv4mpegpipe',
}
WITH_CHAPTERS = ('matroska', 'webm', 'mp4', 'mov', 'nut')
WITH_COVERS = ('matroska', 'mp4')
WITH_ATTACHMENTS = ('matroska',)
# MPEG-TS takes anything, but says what it is only of these; the rest is lost in it.
IN_MPEGTS = {
    *('h264', 'hevc', 'mpeg2video', 'mpeg1video', 'mp2', 'mp3', 'aac', 'ac3', 'eac3', 'dts'),
    *('opus', 'dvb_subtitle', 'klv'),
}
VIDEO_ONLY = ('yuv4mpegpipe',)
# Tried in turn when a container cannot hold something.
PROPOSED = ('.mkv', '.mp4', '.mov', '.ts', '.nut')

# What a muxer writes by itself, and what is no longer true of another video.
CONTAINERS_OWN = {'major_brand', 'minor_version', 'compatible_brands', 'encoder'}
OF_OLD_VIDEO = {'encoder', 'duration', 'bps', 'number_of_frames', 'number_of_bytes', 'vendor_id'}

Span: TypeAlias = tuple[Fraction | None, Fraction | None]
"""From when to when, in seconds; None: from the beginning, or to the end."""


class StreamInfo(NamedTuple):
    """A stream of a film.

    Attributes:
      number: its place among the film's streams.
      kind: 'video', 'audio', 'subtitle', 'data', 'attachment', or 'cover' for a picture.
      codec: FFmpeg's name; '' where nobody knows it.
      language, title: as tagged; '' where not.
      disposition: names of what it is for: 'default', 'forced' ...
      metadata: all tags.
      start, duration: seconds; None where not said.
    """

    number: int
    kind: str
    codec: str
    language: str
    title: str
    disposition: tuple[str, ...]
    metadata: dict[str, str]
    start: Fraction | None
    duration: Fraction | None

    def __str__(self) -> str:
        words = [f'stream {self.number}: {self.kind} {self.codec or "of an unknown codec"}']
        words += [self.language] * bool(self.language) + [repr(self.title)] * bool(self.title)
        return ', '.join([*words, *(name.replace('_', ' ') for name in self.disposition)])


def describe(stream: Any) -> StreamInfo:
    """Returns what a stream is."""
    is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
    tick = tick_of(stream)
    start, duration = stream.start_time, stream.duration
    flags = [flag.name for flag in av.stream.Disposition if flag & stream.disposition]
    codec, tags = stream.codec_context, clean(stream.metadata)
    return StreamInfo(
        stream.index,
        'cover' if is_cover else stream.type,
        codec.codec.canonical_name if codec else clean_text(getattr(stream, 'name', '') or ''),
        tags.get('language', ''),
        tags.get('title', ''),
        tuple(str(name) for name in flags if name != 'attached_pic'),
        tags,
        None if start is None else start * tick,
        None if duration is None else duration * tick,
    )


def beside_the_video(container: Any, video: int) -> list[Any]:
    """Returns the streams to copy.

    These are all but the video, and but those that muxers make anew: MOV keeps chapters as a
    stream, which FFmpeg discards, and a timecode, which is a tag of the video too.
    """
    discarded = av.stream.Discard.all
    return [
        stream
        for stream in container.streams
        if stream.index != video
        and stream.discard != discarded
        and not (stream.type == 'data' and 'timecode' in stream.metadata)
    ]


def container_of(output: Path) -> str:
    """Returns FFmpeg's name of the container that a suffix means.

    Raises:
      InputError: it is none that keeps timestamps.
    """
    name = CONTAINERS.get(output.suffix.lower())
    if name is None:
        raise InputError(f'{output}: films are written as {" ".join(CONTAINERS)}; take .mkv')
    return name


def not_held(source: Any, video: int, container: str) -> list[str]:
    """Returns, in words, what of a film's other streams and chapters a container cannot hold.

    Args:
      source: an open film.
      video: the number of its video stream.
      container: FFmpeg's name.
    """
    lost = [
        str(describe(stream))
        for stream in beside_the_video(source, video)
        if not _holds(container, stream)
    ]
    if source.chapters() and container not in WITH_CHAPTERS:
        lost.append(f'{len(source.chapters())} chapters')
    return lost


def check_held(source: Any, video: int, output: Path, leave_out: Collection[int]) -> None:
    """Refuses an output that cannot hold all streams.

    Raises:
      InputError: names what it cannot hold, and the nearest container that can.
    """
    left = {f'stream {index}:' for index in leave_out}
    lost = [
        words
        for words in not_held(source, video, container_of(output))
        if not any(words.startswith(name) for name in left)
    ]
    if not lost:
        return
    for suffix in PROPOSED:
        if not not_held(source, video, CONTAINERS[suffix]):
            remedy = f'take {output.stem}{suffix}, or leave them out'
            break
    else:
        remedy = 'no container holds all of them: leave some out'
    raise InputError(f'{output} cannot hold {"; ".join(lost)}: {remedy}')


def _holds(container: str, stream: Any) -> bool:
    """Tells, by writing a file's head in memory, whether a container takes a stream."""
    kind, codec = describe(stream)[1:3]
    if kind == 'cover':
        return container in WITH_COVERS
    if kind == 'attachment':
        return container in WITH_ATTACHMENTS
    if container == 'mpegts' and codec not in IN_MPEGTS:
        return False
    try:
        trial = av.open(io.BytesIO(), 'w', format=container)
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
        trial.close()
    except REFUSALS:
        return False
    return True


def film_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns the tags of a film, without those that every muxer writes by itself."""
    return {k: v for k, v in metadata.items() if k.lower() not in CONTAINERS_OWN}


def video_metadata(stream: Any) -> dict[str, str]:
    """Returns the tags of a video stream that are still true of another video."""
    return {
        key: value
        for key, value in clean(stream.metadata).items()
        if key.lower().partition('-')[0] not in OF_OLD_VIDEO and not key.startswith('_STATISTICS')
    }


class CopiedStreams:
    """Copies all streams but the video, in step with it.

    Args:
      path: the film that they are taken from; it is opened once more.
      video: the number of its video stream.
      output: an open container, whose video stream exists already.
      leave_out: numbers of streams that are not copied.
      shift: seconds that are added to every time.
      span: packets whose times, before that, lie outside are left out.
    """

    def __init__(
        self,
        path: Path,
        video: int,
        output: Any,
        leave_out: Collection[int],
        shift: Fraction,
        span: Span = (None, None),
    ):
        self._path = path
        self._span = span
        self._source = open_container(path)
        self._output = output
        self._shift = shift
        self._targets: dict[int, Any] = {}
        for stream in beside_the_video(self._source, video):
            if stream.index not in leave_out:
                self._add(stream)
        for stream in self._source.streams:
            if stream.index not in self._targets:
                stream.discard = av.stream.Discard.all
        self._packets = self._read()
        self._next = next(self._packets, None)

    def _add(self, stream: Any) -> None:
        info = describe(stream)
        matroska = self._output.format.name in WITH_ATTACHMENTS
        if matroska and info.kind in ('cover', 'attachment'):
            data = stream.data if info.kind == 'attachment' else _picture(self._path, stream.index)
            kind = info.codec.replace('mjpeg', 'jpeg')
            name = info.metadata.get('filename') or f'cover.{kind.replace("jpeg", "jpg")}'
            mime = info.metadata.get('mimetype') or f'image/{kind}'
            target = self._output.add_attachment(name, mime, data)
        else:
            target = self._output.add_stream_from_template(stream, opaque=True)
            self._targets[stream.index] = target
        target.metadata.update(info.metadata)
        target.disposition = stream.disposition

    def _read(self) -> Iterator[tuple[Fraction, Any]]:
        """Yields each packet and the time at which it is due, in seconds."""
        if not self._targets:
            return
        last = dict.fromkeys(self._targets, 0)
        chosen = [self._source.streams[number] for number in self._targets]
        with in_one_line(f'{self._path} cannot be read'):
            for packet in packets_until_damage(self._source, chosen):
                if not packet.size:  # the end of a stream
                    continue
                index = packet.stream_index
                if packet.pts is None and packet.dts is None:
                    packet.pts = packet.dts = last[index]
                time = packet.dts if packet.dts is not None else packet.pts
                last[index] = time + (packet.duration or 0)
                if self._is_within(time * tick_of(packet)):
                    yield time * tick_of(packet), packet

    def _is_within(self, time: Fraction) -> bool:
        first, last = self._span
        return (first is None or time >= first) and (last is None or time < last)

    def write_until(self, time: Fraction | None) -> None:
        """Writes all packets that are due up to a time of the video in seconds; None: all."""
        while self._next is not None and (time is None or self._next[0] <= time):
            packet = self._next[1]
            ticks = round(self._shift / tick_of(packet))
            packet.pts = packet.pts if packet.pts is None else packet.pts + ticks
            packet.dts = packet.dts if packet.dts is None else packet.dts + ticks
            packet.stream = self._targets[packet.stream_index]
            self._output.mux(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Closes the film that was copied from."""
        self._source.close()


def _picture(path: Path, index: int) -> bytes:
    """Returns the bytes of a cover."""
    with open_container(path) as container:
        for packet in container.demux(container.streams[index]):
            return bytes(packet)
    return b''
