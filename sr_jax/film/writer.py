"""Writing a film: frames with their times, and everything else of the film they came from."""

import contextlib
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from sr_jax.film import encoders
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.ffmpeg import in_one_line
from sr_jax.film.formats import Planes
from sr_jax.film.muxing import open_muxer


class FilmWriter:
    """Encodes frames into a film, beside its place, and moves it there at the end.

    As a context manager: what is left by an exception leaves no file behind.

    Args:
      output: the film, or '-' for raw video (Y4M) to the standard output.
      video: what is written.
      settings: how it is encoded.
      source: the film whose other streams, chapters and tags are copied; None: nothing is.
      source_video: the number of its video stream.
      leave_out: numbers of its streams that are not copied.
      start: 'keep' leaves all times as they are; 'zero' moves all, so that the first is 0.

    Raises:
      InputError: the container cannot hold something, or the encoder does not take the frames.
    """

    def __init__(
        self,
        output: Path,
        video: OutputVideo,
        settings: EncoderSettings,
        source: Path | None = None,
        *,
        source_video: int = 0,
        leave_out: Collection[int] = (),
        start: str = 'keep',
    ):
        self._stack = contextlib.ExitStack()
        with self._stack:
            self._muxer = open_muxer(
                self._stack, output, video, settings, source, source_video, leave_out, start
            )
            self._encoder = encoders.Encoder(self._muxer.stream.codec_context, video)
            self._output = output
            self._stack = self._stack.pop_all()

    def write(self, planes: Planes, pts: int, duration: int) -> None:
        """Adds a frame: its planes, and its time and duration in ticks of the video's time base.

        Raises:
          InputError: the disk is full, or the encoder fails.
        """
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
