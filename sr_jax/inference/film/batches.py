"""The frames of a film in batches, piece by piece, as the devices take them.

A piece depends on the film and the options alone, never on which pieces were done before: its
batches begin anew, its first frame is always computed, and a tape's filters and a network that
remembers see the frames of the last second before it. So a film that was broken off and went on is
the same as one that was not.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from sr_jax.film.decoding import SEEKABLE
from sr_jax.film.formats import Planes
from sr_jax.film.numbered import NumberedFrames
from sr_jax.film.reader import FilmFrame, open_film
from sr_jax.inference.film.plan import FilmPlan

WARM_UP = Fraction(1)  # seconds before a piece that a tape's filters or a memory see
MAX_SHOWN = 64  # frames shown by a batch, so that a still scene does not wait for its end

class Begin(NamedTuple):
    """A piece begins; its number, and frames just before it."""

    number: int
    before: list[Planes]


class Shown(NamedTuple):
    """When a frame is shown, in ticks, and which it is.

    Attributes:
      pts, duration: in ticks.
      place: in its batch; -1: the last one of the batch before.
    """

    pts: int
    duration: int
    place: int


class Batch(NamedTuple):
    """Frames to compute, and all that are shown by them.

    Attributes:
      planes: [n, h, w] each; the last frame is repeated where there are fewer. None: no new ones.
      new: how many of them are frames.
      shown: in their order.
    """

    planes: Planes | None
    new: int
    shown: list[Shown]


class Note(NamedTuple):
    """What is to be said of a piece that is done.

    Attributes:
      frames: that it shows.
      computed: of these, those that are not like the one before.
      damaged: packets that could not be decoded.
      missing: seconds of the film's stated length that were not there.
      resized: frames that had another size than the film's first one.
    """

    frames: int = 0
    computed: int = 0
    damaged: int = 0
    missing: float = 0.0
    resized: int = 0


class End(NamedTuple):
    """A piece ends."""

    number: int
    note: Note


Event: TypeAlias = Begin | Batch | End


class _Reading:
    """A film that is being read, from a moment on.

    Args:
      plan: of the film.
      begin: seconds; None: from the first frame.
    """

    def __init__(self, plan: FilmPlan, begin: Fraction | None):
        found = plan.found
        self._reader: Any
        kind, resizes = plan.change.before, plan.options.resizes
        if found.report is None:
            self._reader = NumberedFrames(found.path, plan.options.rate, kind, resizes)
            first = 0 if begin is None else -(-begin // self._reader.time_base)
            self._frames = self._reader.frames_from(first)
        else:
            self._reader = open_film(found.path, found.deinterlacing, begin, kind, resizes)
            self._frames = iter(self._reader)
        self._held: FilmFrame | None = None
        self._counted = (0, 0)
        self.is_over = False
        # Of others all frames before are decoded anyway, and need be only once.
        is_whole = found.deinterlacing.mode != 'telecine'
        self.can_seek = found.report is None or (
            is_whole and found.report.info.format in SEEKABLE
        )

    def next(self) -> FilmFrame | None:
        """Returns the next frame; None after the last."""
        frame, self._held = self._held, None
        if frame is None:
            frame = next(self._frames, None)
            self.is_over = frame is None
        return frame

    def put_back(self, frame: FilmFrame) -> None:
        """Has `next` return a frame once more."""
        self._held = frame

    def pop_counts(self) -> tuple[int, int]:
        """Returns how many packets were damaged, and frames resized, since it was asked last."""
        before, reader = self._counted, self._reader
        self._counted = getattr(reader, 'damaged', 0), getattr(reader, 'resized', 0)
        return self._counted[0] - before[0], self._counted[1] - before[1]

    @property
    def missing(self) -> float:
        """Seconds that were not there, once the film is over."""
        return float(getattr(self._reader, 'missing', 0)) if self.is_over else 0.0

    def close(self) -> None:
        self._reader.__exit__(None, None, None)


def read_batches(
    plan: FilmPlan,
    wanted: Iterable[int],
    size: int,
    watch: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
) -> Generator[Event, None, None]:
    """Yields pieces of a film: of each its beginning, its batches and its end.

    Args:
      plan: of the film.
      wanted: numbers of the pieces, ascending.
      size: frames of a batch.
      watch: is entered while something is read.

    Raises:
      InputError: as for reading the film.
    """
    reading: _Reading | None = None
    follows = -1
    warm: deque[FilmFrame] = deque()
    try:
        for number in wanted:
            begin, end = plan.bounds(number)
            with watch():
                if reading is None or (number != follows and reading.can_seek):
                    if reading:
                        reading.close()
                    reading = _open(plan, number, begin)
                    warm.clear()
                before = _skip(reading, plan, number, begin, warm)
                if number != follows:
                    reading.pop_counts()  # those belong to other pieces
            yield Begin(number, before)
            counts = Note()
            for batch in _batches(_piece(reading, plan, end, warm, watch), plan, size):
                counts = counts._replace(
                    frames=counts.frames + len(batch.shown), computed=counts.computed + batch.new
                )
                yield batch
            damaged, resized = reading.pop_counts()
            missing = reading.missing
            note = counts._replace(damaged=damaged, resized=resized, missing=missing)
            yield End(number, note)
            follows = number + 1
    finally:
        if reading:
            reading.close()


def _open(plan: FilmPlan, number: int, begin: Fraction) -> _Reading:
    if number == 0 and begin == plan.found.first:
        return _Reading(plan, None)
    return _Reading(plan, begin - WARM_UP * plan.change.warms_up)


def _skip(
    reading: _Reading, plan: FilmPlan, number: int, begin: Fraction, warm: deque[FilmFrame]
) -> list[Planes]:
    """Passes over frames before a piece; returns those from which a tape's filters learn.

    Args:
      reading: the film.
      plan: of the film.
      number: of the piece.
      begin: of the piece.
      warm: the frames read before.
    """
    from_start = number == 0 and begin == plan.found.first
    while not from_start and (frame := reading.next()) is not None:
        if frame.pts * frame.time_base >= begin:
            reading.put_back(frame)
            break
        _keep(warm, frame, plan)
    first = begin - WARM_UP
    return [frame.planes for frame in warm if frame.pts * frame.time_base >= first]


def _piece(
    reading: _Reading,
    plan: FilmPlan,
    end: Fraction | None,
    warm: deque[FilmFrame],
    watch: Callable[[], contextlib.AbstractContextManager],
) -> Iterator[FilmFrame]:
    """Yields the frames of a piece; the last second is kept in `warm`."""
    while True:
        with watch():
            frame = reading.next()
        if frame is None:
            return
        time = frame.pts * frame.time_base
        if end is not None and time >= end:
            reading.put_back(frame)
            return
        _keep(warm, frame, plan)
        yield frame


def _keep(warm: deque[FilmFrame], frame: FilmFrame, plan: FilmPlan) -> None:
    """Keeps the frames of the last second, where they are needed."""
    if not plan.change.warms_up:
        return
    warm.append(frame)
    while (frame.pts - warm[0].pts) * frame.time_base > WARM_UP:
        warm.popleft()


def _batches(frames: Iterator[FilmFrame], plan: FilmPlan, size: int) -> Iterator[Batch]:
    """Yields the frames of a piece in batches."""
    new: list[Planes] = []
    shown: list[Shown] = []
    last: Planes | None = None
    for frame in frames:
        is_same = last is not None and _are_alike(frame.planes, last, plan)
        if (len(new) == size and not is_same) or len(shown) == MAX_SHOWN:
            yield _stack(new, shown, size)
            new, shown = [], []
        if not is_same:
            last = frame.planes
            new.append(last)
        shown.append(Shown(frame.pts, frame.duration, len(new) - 1))
    if shown:
        yield _stack(new, shown, size)


def _stack(new: list[Planes], shown: list[Shown], size: int) -> Batch:
    if not new:
        return Batch(None, 0, shown)
    padded = [*new, *[new[-1]] * (size - len(new))]
    return Batch(tuple(np.stack(each) for each in zip(*padded, strict=True)), len(new), shown)


def _are_alike(planes: Planes, last: Planes, plan: FilmPlan) -> bool:
    """Tells whether a frame need not be computed anew after one that was.

    The filters of a tape change frames that are the same, too.
    """
    if plan.change.tape:
        return False
    levels = plan.options.same
    if not levels:
        return all(np.array_equal(one, other) for one, other in zip(planes, last, strict=True))
    return all(
        np.abs(one.astype(np.int32) - other).max() <= levels
        for one, other in zip(planes, last, strict=True)
    )
