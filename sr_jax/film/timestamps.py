"""When frames are shown: what files say, and what is put where they say nothing.

All times are whole ticks of the stream's time base; nothing is rounded to a rate.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np

T = TypeVar('T')


class Clock:
    """Gives each frame, in the order of showing, a time later than the one before.

    The rule: the frame's own time; where it has none, or one that is not later than the last, the
    time at which the packet was decoded that brought it out; where that does not help either, one
    frame of the nominal rate after the last. In files that say only when packets are decoded
    (AVI), that time comes first.

    Args:
      step: ticks of a frame at the nominal rate; need not be whole.
      decode_times: whether the file says only when packets are decoded.

    Attributes:
      filled: how many times were made up.
    """

    def __init__(self, step: Fraction, decode_times: bool = False):
        self._step = step
        self._decode_times = decode_times
        self._last: Fraction | None = None
        self.filled = 0

    def time(self, pts: int | None, dts: int | None) -> int:
        """Returns the time of the next frame, in ticks."""
        for said in (dts, pts) if self._decode_times else (pts, dts):
            if said is not None and (self._last is None or said > round(self._last)):
                self._last = Fraction(said)
                return said
        self.filled += 1
        if self._last is None:
            self._last = Fraction(0)
            return 0
        before = round(self._last)
        self._last = max(self._last + self._step, Fraction(before + 1))
        return round(self._last)


def with_durations(
    frames: Iterable[tuple[T, int, int]], get_end: Callable[[int], int | None], step: Fraction
) -> Iterator[tuple[T, int, int]]:
    """Yields each frame, its time and how long it is shown: until the next one's time.

    The last is shown until the end that the stream states; where it states none, as long as its
    packet says; else one frame of the nominal rate.

    Args:
      frames: each frame, its time, and its packet's duration (0 where it says none).
      get_end: called after the last frame with the end of its packet, it returns the end of the
        stream, where that is stated exactly.
      step: ticks of a frame at the nominal rate.
    """
    waiting: tuple[T, int, int] | None = None
    for frame, time, said in frames:
        if waiting:
            yield waiting[0], waiting[1], time - waiting[1]
        waiting = frame, time, said
    if waiting:
        frame, time, said = waiting
        end = get_end(time + said)
        stated = end - time if end is not None and end > time else 0
        yield frame, time, stated or said or max(1, round(step))


class DecodeTimes:
    """Gives packets, in the order of decoding, increasing times that none is shown before.

    The i-th packet gets the (i - delay)-th time of all in the order of showing, and the first ones
    times before the film's beginning: what encoders do, but over joined pieces too.

    Args:
      times: of showing, in the order of decoding, of all packets.
    """

    def __init__(self, times: Sequence[int]):
        order = np.argsort(times)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        self._shown = np.asarray(times)[order]
        self.delay = int(max(np.arange(len(order)) - ranks, default=0))

    def __iter__(self) -> Iterator[int]:
        shown, delay = self._shown, self.delay
        step = max(1, int(shown[1] - shown[0])) if len(shown) > 1 else 1
        yield from (int(shown[0]) - (delay - place) * step for place in range(delay))
        yield from (int(time) for time in shown[: len(shown) - delay])
