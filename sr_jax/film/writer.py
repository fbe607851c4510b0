"""Writing a film: frames with their times, and everything else of the film they came from."""

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from sr_jax.film import encoders
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.ffmpeg import in_one_line
from sr_jax.film.formats import Planes
from sr_jax.film.info import VideoInfo
from sr_jax.film.muxing import Source, is_raw, open_muxer


def output_like(video: VideoInfo, width: int, height: int) -> OutputVideo:
    """Returns the video to write for one that is enlarged to these sides: all else stays.

    Pixels keep their shape as far as both sides grow alike.
    """
    aspect = video.aspect
    if aspect:
        aspect *= Fraction(video.width * height, video.height * width)
    return OutputVideo(
        width,
        height,
        video.pixels,
        video.color,
        video.time_base,
        video.average_rate or video.nominal_rate or Fraction(25),
        aspect,
        video.matrix,
        video.mastering,
        video.light,
        video.metadata,
        video.disposition,
    )


class FilmWriter:
    """Encodes frames into a film, beside its place, and moves it there at the end.

    Raw video has no times: frames follow one another at the video's rate, whenever they are shown.

    As a context manager: what is left by an exception leaves no file behind.

    Args:
      output: the film, or '-' for raw video (Y4M) to the standard output.
      video: what is written.
      settings: how it is encoded.
      source: the film whose other streams, chapters and tags are copied; None: nothing is.

    Raises:
      InputError: the container cannot hold something, or the encoder does not take the frames.
    """

    def __init__(
        self,
        output: Path,
        video: OutputVideo,
        settings: EncoderSettings,
        source: Source | None = None,
    ):
        self._is_raw, self._count = is_raw(output), 0
        if self._is_raw:
            video = video._replace(time_base=1 / video.rate)
        with contextlib.ExitStack() as stack:
            self._muxer = open_muxer(stack, output, video, settings, source)
            self._encoder = encoders.Encoder(self._muxer.stream.codec_context, video)
            self._output = output
            self._stack = stack.pop_all()

    def write(self, planes: Planes, pts: int, duration: int) -> None:
        """Adds a frame: its planes, and its time and duration in ticks of the video's time base.

        Raises:
          InputError: the disk is full, or the encoder fails.
        """
        if self._is_raw:
            pts, duration = self._count, 1
        self._count += 1
        with in_one_line(f'{self._output} cannot be written'):
            self._muxer.write(self._encoder.encode(planes, pts, duration))

    def close(self) -> None:
        """Writes what is left, and moves the film to its place."""
        with self._stack, in_one_line(f'{self._output} cannot be written'):
            self._muxer.write(self._encoder.flush())
            self._muxer.finish()

    def __enter__(self) -> 'FilmWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)
