"""Fields: frames of whole pictures from frames that are two of them.

Frames stay as they are stored: no filter here converts colors.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from sr_jax.film.ffmpeg import common_tick, kind_of, make_graph, make_source, pull_all, tick_of

KINDS = ('progressive', 'top first', 'bottom first')
# FFmpeg's numbers of a stream's order: as stored, and as shown where the two differ.
STREAM_ORDERS = {1: KINDS[0], 2: KINDS[1], 3: KINDS[2], 4: KINDS[1], 5: KINDS[2]}


class Deinterlacing(NamedTuple):
    """What is done about fields.

    Attributes:
      mode: 'off'; 'frames', one for each stored; 'fields', one for each field; 'telecine', the
        film's frames from 3:2 pulldown.
      parity: 'tff' or 'bff' for the field that is first, or 'auto' for each frame's flag.
      only_flagged: whether frames that are not flagged stay as they are.
    """

    mode: str = 'off'
    parity: str = 'auto'
    only_flagged: bool = False

    def time_base(self, time_base: Fraction, rate: Fraction) -> Fraction:
        """Returns the tick of the frames that come out, in which every time is whole."""
        if self.mode == 'fields':
            return time_base / 2
        if self.mode == 'telecine':
            return common_tick(time_base, 1 / self.rate(rate))
        return time_base

    def rate(self, rate: Fraction) -> Fraction:
        """Returns the frames a second that come out."""
        if self.mode == 'fields':
            return 2 * rate
        return rate * Fraction(4, 5) if self.mode == 'telecine' else rate


NO_CHANGE = Deinterlacing()


class FieldFlags:
    """Reads which field of a frame is the earlier, which PyAV does not say: a filter does."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._kind: Any = None

    def read(self, frame: Any) -> tuple[bool, bool]:
        """Returns whether a frame is flagged as interlaced, and as having the upper field first."""
        if not frame.interlaced_frame:
            return False, False
        if self._kind != kind_of(frame):
            self._kind = kind_of(frame)
            self._graph, source = make_source(frame, Fraction(25))
            select = self._graph.add('select', 'n=2:e=1+eq(interlace_type\\,TOPFIRST)')
            source.link_to(select)
            self._sinks = [self._graph.add('buffersink') for _ in range(2)]
            for place, sink in enumerate(self._sinks):
                select.link_to(sink, place, 0)
            self._graph.configure()
        self._graph.push(frame)
        found = [len(list(pull_all(sink))) for sink in self._sinks]
        return True, bool(found[1])


def run_filters(
    frames: Iterable[Any], filters: list[tuple[str, str]], rate: Fraction
) -> Iterator[Any]:
    """Yields what comes of frames by a chain of FFmpeg's filters.

    Args:
      frames: FFmpeg's, with times.
      filters: name and arguments of each.
      rate: frames a second, which some filters want to know.
    """
    graph: Any = None
    kind: Any = None
    for frame in frames:
        if kind != kind_of(frame):  # filters take frames of one size
            yield from _finish(graph)
            graph, kind = make_graph(frame, filters, rate), kind_of(frame)
        graph.push(frame)
        yield from pull_all(graph)
    yield from _finish(graph)


def _finish(graph: Any) -> Iterator[Any]:
    """Yields what a chain of filters still holds."""
    if graph:
        graph.push(None)
        yield from pull_all(graph)


def filter_frames(
    frames: Iterable[Any], deinterlacing: Deinterlacing, rate: Fraction
) -> Iterator[Any]:
    """Yields frames without fields, with times in ticks of `deinterlacing.time_base`."""
    mode, parity, only_flagged = deinterlacing
    if mode == 'off':
        yield from frames
        return
    bwdif = (
        f'mode=send_{"field" if mode == "fields" else "frame"}:parity={parity}:'
        f'deint={"interlaced" if only_flagged else "all"}'
    )
    filters = [('bwdif', bwdif)]
    if mode == 'telecine':
        match = f'order={parity}:combmatch=full'
        rest = 'mode=send_frame:deint=interlaced'
        filters = [('fieldmatch', match), ('bwdif', rest), ('decimate', '')]
    start: tuple[int, Fraction] | None = None

    def note_start() -> Iterator[Any]:
        nonlocal start
        for frame in frames:
            start = start or (frame.pts, tick_of(frame))
            yield frame

    origin = None
    for frame in run_filters(note_start(), filters, rate):
        assert start is not None
        tick = deinterlacing.time_base(start[1], rate)
        time = frame.pts * tick_of(frame)
        if mode == 'telecine':  # decimate counts from zero, in ticks of the film's rate
            origin = time if origin is None else origin
            time += start[0] * start[1] - origin
        frame.pts, frame.duration = round(time / tick), 0
        frame.time_base = tick
        yield frame
