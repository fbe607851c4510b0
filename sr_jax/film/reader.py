"""Reading a film: what it is, and its frames as planes with their times to the tick."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from sr_jax.errors import LastingError
from sr_jax.film import pixels, timestamps
from sr_jax.film.decoding import Decoder
from sr_jax.film.ffmpeg import tick_of
from sr_jax.film.fields import NO_CHANGE, Deinterlacing, FieldFlags, filter_frames
from sr_jax.film.fitting import fit
from sr_jax.film.formats import FrameKind, Planes
from sr_jax.film.info import FilmInfo, describe_film

# A stated duration this much longer than what was read is no rounding: the film was cut off.
CUT_SECONDS = Fraction(1, 2)


class FilmFrame(NamedTuple):
    """A frame.

    Attributes:
      planes: as `FilmInfo.video.pixels` says.
      pts, duration: in ticks of `time_base`.
      time_base: seconds of a tick.
      interlaced: whether it is flagged as two fields.
      top_field_first: whether the upper one is the earlier, by its flags.
      key: whether it was decoded without any other.
    """

    planes: Planes
    pts: int
    duration: int
    time_base: Fraction
    interlaced: bool = False
    top_field_first: bool = False
    key: bool = False


class FilmReader:
    """A film that is open; iterate it once for its frames.

    Args:
      path: the film.
      deinterlacing: what is done about fields; see `sr_jax.film.fields`.
      from_time: frames that are over by then, in seconds, are passed over.
      kind: what all frames are to be, of a film that is read in parts; None: like the first here.
      resize: bring others to that size and those pixels, instead of refusing them; needs `kind`.

    Attributes:
      info: what it is.
      time_base: of the frames that it gives: the stream's, or finer where fields become frames.
      made_up: how many frames had no usable time in the file.
      resized: how many frames were brought to another size.
      damaged: how many packets could not be decoded; the frames before them are shown longer.
      missing: after the last frame: seconds of the stated duration that were not there.

    Raises:
      InputError: no film, no video, no frames, encrypted, an unknown codec or pixel format.
    """

    def __init__(
        self,
        path: Path,
        deinterlacing: Deinterlacing = NO_CHANGE,
        from_time: Fraction | None = None,
        kind: FrameKind | None = None,
        resize: bool = False,
    ):
        # Telecine is counted in fives from the first frame on.
        seek = None if deinterlacing.mode == 'telecine' else from_time
        self._decoder = Decoder(path, seek)
        try:
            self.info = describe_film(path, self._decoder)
        except BaseException:
            self.close()
            raise
        self._deinterlacing = deinterlacing
        self._from_time = from_time
        video = self.info.video
        self._kind = kind or FrameKind(video.height, video.width, video.pixels, video.color)
        self._resize = resize
        self.time_base = deinterlacing.time_base(video.time_base, self.rate)
        self.missing, self.resized = Fraction(0), 0

    @property
    def rate(self) -> Fraction:
        """Frames a second of the stored film, about."""
        video = self.info.video
        return video.average_rate or video.nominal_rate or Fraction(25)

    @property
    def made_up(self) -> int:
        """How many frames had no usable time in the file."""
        return self._decoder.clock.filled

    @property
    def damaged(self) -> int:
        """How many packets could not be decoded so far."""
        return self._decoder.damaged

    def __iter__(self) -> Iterator[FilmFrame]:
        flags = FieldFlags()
        step = 1 / (self._deinterlacing.rate(self.rate) * self.time_base)
        frames = filter_frames(self._decoder.frames(), self._deinterlacing, self.rate)
        timed = ((frame, frame.pts, self._said(frame)) for frame in frames)
        shown = 0
        for frame, pts, duration in timestamps.with_durations(timed, self._exact_end, step):
            shown = pts + duration
            if self._from_time is not None and shown * self.time_base <= self._from_time:
                continue
            interlaced, top_first = flags.read(frame)
            yield FilmFrame(
                self._planes(frame, pts),
                pts,
                duration,
                self.time_base,
                interlaced,
                top_first,
                frame.key_frame,
            )
        self._measure(shown * self.time_base)

    def _exact_end(self, end_of_packet: int) -> int | None:
        """Returns when the video ends, in our ticks, where a file states it to the tick.

        MP4 does; the duration of the last frame's packet is about the next in the order of
        decoding. Where packets are missing, the stated end is not that of the last frame found.
        """
        video, stream = self.info.video, self._decoder.stream
        if not self.info.format.startswith('mov') or video.start is None or not video.duration:
            return None
        end = round((video.start + video.duration) * video.time_base / self.time_base)
        is_cut = self._decoder.packets < stream.frames
        return None if is_cut and (end - end_of_packet) * self.time_base > CUT_SECONDS else end

    def _said(self, frame: Any) -> int:
        """Returns the duration that a frame itself states, in our ticks."""
        if not frame.duration or not frame.time_base:
            return 0
        return round(frame.duration * tick_of(frame) / self.time_base)

    def _planes(self, frame: Any, pts: int) -> Planes:
        """Returns the planes of a frame, as all others have them."""
        planes, stored = pixels.planes_of(frame), pixels.describe(frame.format.name)
        if (frame.height, frame.width, stored) == self._kind[:3]:
            return planes
        if self._resize:
            self.resized += 1
            return fit(planes, stored, self._kind)
        raise LastingError(
            f'{self.info.path}: at {float(pts * self.time_base):.3f} s frames change from '
            f'{self._kind.width}x{self._kind.height} to {frame.width}x{frame.height} '
            f'{frame.format.name}: cut the film there, or resize them (--sizes first)'
        )

    def _measure(self, end: Fraction) -> None:
        """Notes how much of the stated duration is missing."""
        stated = _stated_end(self.info, self._decoder.stream)
        if stated is not None and stated - end > CUT_SECONDS:
            self.missing = stated - end

    def close(self) -> None:
        """Closes the film."""
        self._decoder.close()

    def __enter__(self) -> 'FilmReader':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_film(
    path: Path,
    deinterlacing: Deinterlacing = NO_CHANGE,
    from_time: Fraction | None = None,
    kind: FrameKind | None = None,
    resize: bool = False,
) -> FilmReader:
    """Opens a film; see `FilmReader`."""
    return FilmReader(path, deinterlacing, from_time, kind, resize)


def _stated_end(info: FilmInfo, stream: Any) -> Fraction | None:
    """Returns when the video ends, as the film states it, in seconds; None where it does not."""
    video = info.video
    # Matroska's, of each stream
    found = re.match(r'(\d+):(\d+):(\d+(\.\d+)?)$', stream.metadata.get('DURATION', ''), re.ASCII)
    if found:
        hours, minutes, seconds = (Fraction(part) for part in found.groups()[:3])
        return hours * 3600 + minutes * 60 + seconds
    if info.format.startswith('matroska') or not video.duration:  # it is that of the whole film
        return info.duration if len(info.streams) == 1 else None
    return ((video.start or 0) + video.duration) * video.time_base
