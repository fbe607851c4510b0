"""A film into a file: made in pieces that are kept, and joined when all are there."""

import contextlib
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.errors import InputError, LastingError
from sr_jax.film import encoders, segments, streams
from sr_jax.film.ffmpeg import open_container
from sr_jax.film.muxing import PIPE, Muxer, is_raw
from sr_jax.film.segments import SegmentWriter
from sr_jax.film.writer import FilmWriter
from sr_jax.inference.film.batches import Begin, End, Note
from sr_jax.inference.film.enlarger import make_enlarger
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.film.parts import Parts, add_up, choose_enlarger, describe_job
from sr_jax.inference.film.plan import FilmPlan, make_plan, notes
from sr_jax.inference.film.progress import Meter, Progress
from sr_jax.inference.film.recurrent import remembers
from sr_jax.inference.film.run import Frame, enlarge_pieces
from sr_jax.inference.upscaler import Upscaler


class FilmResult(NamedTuple):
    """What became of a film.

    Attributes:
      is_whole: whether the film is written; False while pieces of other parts are missing.
      note: what there is to say of all its pieces.
    """

    is_whole: bool
    note: Note

    @property
    def problems(self) -> list[str]:
        """What was wrong with the input, in words."""
        found = []
        if self.note.missing:
            found.append(f'it was cut off: its last {self.note.missing:.1f} s are missing')
        if self.note.damaged:
            found.append(f'{self.note.damaged} packets could not be decoded')
        return found


class FilmJob:
    """A film to enlarge, decided and checked; nothing is computed yet.

    Args:
      upscaler: the network, not `bounded`.
      path: the film, or a folder of numbered frames.
      output: the film to come, or '-'.
      options: what was chosen.
      how: what was asked of the upscaler, as JSON has it: pieces that were made otherwise are not
        joined with others.
      report: is given lines about what was found and what is done.

    Raises:
      InputError: it is no film, or the output cannot hold what would be in it.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        path: Path,
        output: Path,
        options: FilmOptions,
        how: dict[str, Any] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ):
        self._upscaler, self.output = upscaler, output
        self._is_stream = is_raw(output)
        choose, form = (encoders.choose_y4m, 'Y4M') if self._is_stream else (None, None)
        self.plan = make_plan(path, options, upscaler.scale, choose, remembers(upscaler))
        self.parts = Parts(output)
        _check_output(self.plan, output)
        for line in [*self.plan.lines(form), *notes(self.plan, output)]:
            report(line)
        if not self._is_stream:
            report(f'pieces are kept in {self.parts.folder} until all are there')
        self._told = describe_job(upscaler, path, options, how)
        self._report = report

    def run(
        self,
        part: tuple[int, int] = (1, 1),
        overwrite: bool = False,
        show: Callable[[Progress], None] = lambda progress: None,
    ) -> FilmResult:
        """Enlarges what is not done, and joins the pieces if all are there.

        Args:
          part: k and n: every n-th piece, from the k-th on.
          overwrite: begin anew where pieces of another job are there.
          show: is told of the progress after every frame.

        Raises:
          InputError: pieces of another job are there, or it goes on just now, or anything that goes
            wrong on the way; what is done stays.
        """
        if self._is_stream:
            return self._run_stream(part, show)
        with self.parts.hold(self._report, shared=part != (1, 1)):
            return self._run(part, overwrite, show)

    def _run(
        self, part: tuple[int, int], overwrite: bool, show: Callable[[Progress], None]
    ) -> FilmResult:
        self.parts.open(self._told, overwrite)
        count = self.plan.segments
        wanted = range(part[0] - 1, count, part[1])
        missing = [number for number in self.parts.missing(count) if number in wanted]
        try:
            if missing:
                self._make(missing, show)
            if part == (1, 1):
                return self._join()
        except LastingError as error:
            raise LastingError(
                f'{error} (what is done stays in {self.parts.folder}, but the same command would '
                'end there again; --overwrite begins anew)'
            ) from error
        except InputError as error:
            raise InputError(
                f'{error} (what is done stays in {self.parts.folder}; the same command goes on)'
            ) from error
        return FilmResult(False, self._gather())

    def join(self) -> FilmResult:
        """Joins the pieces, and removes their folder.

        Raises:
          InputError: pieces are missing or of another job, or still being made, or the film cannot
            be written.
        """
        with self.parts.hold(self._report):
            return self._join()

    def _join(self) -> FilmResult:
        self.parts.check(self._told)
        count = self.plan.segments
        missing = self.parts.missing(count)
        if missing:
            raise InputError(
                f'{self.parts.folder} lacks {len(missing)} of {count} pieces, the first of them '
                f'number {missing[0] + 1}: make them first (--part)'
            )
        note = self._gather()
        files = self.parts.files(count)
        if not files:
            raise LastingError(f'{self.plan.found.path}: no frame lies in what was asked for')
        plan = self.plan
        # A part's times are counted from its beginning; of a film, its source says that.
        first = 0 if plan.source else math.ceil(plan.span[0] / plan.video.time_base)
        segments.join(files, self.output, plan.source, first)
        self.parts.remove()
        return FilmResult(True, note)

    def _gather(self) -> Note:
        return add_up(self.parts.notes(self.plan.segments))

    def _make(self, missing: Sequence[int], show: Callable[[Progress], None]) -> None:
        """Enlarges and encodes pieces."""
        plan = self.plan
        enlarger = choose_enlarger(self._upscaler, plan.change, self.parts)
        meter = Meter(self._gather().frames, plan.frames)
        number, writer = 0, None
        with contextlib.closing(enlarge_pieces(plan, enlarger, missing, meter)) as events:
            for event in events:
                with meter.encoding():
                    match event:
                        case Begin():
                            number, writer = event.number, None
                        case Frame():
                            if writer is None:
                                path = self.parts.segment(number)
                                writer = SegmentWriter(path, plan.video, plan.settings)
                            writer.write(*event)
                        case End():
                            if writer:
                                writer.close()
                            self.parts.finish(number, event.note)
                show(meter.progress())

    def _run_stream(
        self, part: tuple[int, int], show: Callable[[Progress], None]
    ) -> FilmResult:
        """Enlarges the whole film into a file or pipe that cannot be made of pieces."""
        if part != (1, 1):
            raise InputError(f'--part is not for {self.output}: raw video is not made of pieces')
        plan = self.plan
        enlarger = make_enlarger(self._upscaler, plan.change)
        meter = Meter(0, plan.frames)
        ends: list[Note] = []
        pieces = enlarge_pieces(plan, enlarger, range(plan.segments), meter)
        writing = FilmWriter(self.output, plan.video, plan.settings)
        with contextlib.closing(pieces) as events, writing as writer:
            for event in events:
                if isinstance(event, Frame):
                    with meter.encoding():
                        writer.write(*event)
                elif isinstance(event, End):
                    ends.append(event.note)
                show(meter.progress())
        return FilmResult(True, add_up(ends))


def _check_output(plan: FilmPlan, output: Path) -> None:
    """Raises InputError for what would only be found out when the pieces are joined."""
    if output == PIPE:
        return
    if output.exists() and output.samefile(plan.found.path):
        raise InputError(f'{output} is the film itself: take another --output')
    container = streams.container_of(output)
    if container in streams.VIDEO_ONLY:
        return
    if plan.source:
        with contextlib.closing(open_container(plan.found.path)) as opened:
            number = plan.source.info.video.number
            streams.check_held(opened, number, output, plan.source.leave_out)
    Muxer(io.BytesIO(), container, plan.video, plan.settings, plan.source).release()
    SegmentWriter(output, plan.video, plan.settings)  # it writes nothing before it is closed
