"""The frames of a film's video stream, as FFmpeg has them, in the order of showing."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError, LastingError
from sr_jax.film.ffmpeg import (
    ERRORS,
    REFUSALS,
    av,
    in_one_line,
    open_container,
    packets_until_damage,
    rates_of,
    tick_of,
)
from sr_jax.film.timestamps import Clock

# Containers that say only when packets are decoded.
WITHOUT_SHOWING_TIMES = ('avi',)
UNKNOWN_CODEC = 'its video is of a codec that this FFmpeg cannot decode'
# These have an index of exact times; in others FFmpeg guesses some after a seek, and differently.
SEEKABLE = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')
# Seconds before the wanted frame that a seek aims at, tried in turn; then from the beginning.
SEEK_MARGINS = (1, 10, 60)


class Decoder:
    """Decodes the video of a film.

    Args:
      path: the film.
      from_time: where to begin, in seconds: at a key frame well before, from which on all frames
        are right; None: at the beginning.
      exact: whether times must be those that reading from the beginning gives.

    Attributes:
      container, stream, context: FFmpeg's.
      clock: gives the frames their times.
      first: the first frame.
      packets: how many have been read since the beginning, or the last seek.
      damaged: how many of them could not be decoded.

    Raises:
      InputError: no video, no frames, encrypted, or a codec that FFmpeg does not know.
    """

    def __init__(self, path: Path, from_time: Fraction | None = None, exact: bool = True):
        self._path = path
        self.container = open_container(path)
        try:
            self._begin()
            if from_time is not None and (not exact or self.container.format.name in SEEKABLE):
                self._seek(from_time)
            first = next(self._frames, None)
            if first is None:
                raise LastingError(f'{path} has no frame that can be decoded')
            self.first = first
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the film."""
        self.container.close()

    def _begin(self) -> None:
        self.stream = _find_video(self._path, self.container)
        self.context = _decoder(self.stream)
        self._start()

    def _start(self) -> None:
        tick = tick_of(self.stream)
        average, nominal = rates_of(self.stream)
        decode_times = self.container.format.name in WITHOUT_SHOWING_TIMES
        # Where threads share frames out, the decode times of frames are those of others.
        if not decode_times and not self.context.is_open:
            self.context.thread_type = 'AUTO'
        self.clock = Clock(1 / ((average or nominal or Fraction(25)) * tick), decode_times)
        self.packets = self.damaged = 0
        self._frames = self._decode()

    def frames(self) -> Iterator[Any]:
        """Yields each frame, with its time as `pts`."""
        yield self.first
        yield from self._frames

    def _decode(self) -> Iterator[Any]:
        with in_one_line(f'{self._path} cannot be decoded'):
            for packet in packets_until_damage(self.container, [self.stream]):
                self.packets += packet.size > 0
                if packet.has_sidedata('encryption_info'):
                    raise LastingError(f'{self._path} is encrypted: decrypt it first')
                yield from self._show(packet if packet.size else None)
            yield from self._show(None)

    def _show(self, packet: Any) -> Iterator[Any]:
        """Yields the frames that a packet brings out, with their times; None brings the rest."""
        for frame in self._decode_packet(packet):
            frame.pts = self.clock.time(frame.pts, frame.dts)
            frame.time_base = self.stream.time_base
            yield frame

    def _decode_packet(self, packet: Any) -> list[Any]:
        """Returns the frames that a packet brings out; none where the packet is damaged."""
        try:
            return self.context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.InvalidDataError:
            self.damaged += 1
            return []
        except ValueError as error:  # PyAV's: there is no codec
            raise InputError(f'{self._path}: {UNKNOWN_CODEC}') from error

    def _seek(self, time: Fraction) -> None:
        """Goes to a key frame before a time; to the beginning where seeking is inexact."""
        tick = tick_of(self.stream)
        pts = math.floor(time / tick)
        for margin in SEEK_MARGINS:
            target = pts - round(margin / tick)
            if target <= (self.stream.start_time or 0):
                break
            try:
                self.container.seek(target, stream=self.stream)
            except ERRORS:
                break
            self.context.flush_buffers()
            self._start()
            for frame in self._frames:
                if frame.key_frame or frame.pts > pts:
                    break
            else:
                continue
            if frame.key_frame and frame.pts <= pts and not self.clock.filled:
                self._frames = _after(frame, self._frames)
                return
        self.container.close()
        self.container = open_container(self._path)
        self._begin()


def _after(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


def _find_video(path: Path, container: Any) -> Any:
    """Returns the video stream: the one marked as default, else the first."""
    cover = av.stream.Disposition.attached_pic
    found = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not found:
        raise InputError(f'{path} holds no video: nothing to enlarge')
    marked = [s for s in found if s.disposition & av.stream.Disposition.default]
    stream = (marked or found)[0]
    if stream.codec_context is None:
        raise InputError(f'{path}: {UNKNOWN_CODEC}')
    stream.discard = av.stream.Discard.default
    return stream


def _decoder(stream: Any) -> Any:
    """Returns the context to decode by: of VP8 and VP9 with alpha, only libvpx sees the alpha."""
    name = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}.get(stream.codec_context.name)
    if name is None or stream.metadata.get('alpha_mode', stream.metadata.get('ALPHA_MODE')) != '1':
        return stream.codec_context
    try:
        context = av.CodecContext.create(name, 'r')
    except REFUSALS as error:
        raise InputError('VP9 with alpha needs an FFmpeg with libvpx') from error
    context.pkt_timebase = stream.time_base
    return context
