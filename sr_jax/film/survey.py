"""Looking at a film's fields: what its flags say, what its pixels show, and what to do about it.

A frame's flags say whether it holds two fields and which is the earlier; they can lie. FFmpeg's
filter `idet` looks at the pixels.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.errors import InputError
from sr_jax.film.decoding import Decoder
from sr_jax.film.ffmpeg import av, tick_of
from sr_jax.film.fields import (
    KINDS,
    NO_CHANGE,
    STREAM_ORDERS,
    Deinterlacing,
    FieldFlags,
    run_filters,
)
from sr_jax.film.formats import DEINTERLACING

SEEN = {'progressive': KINDS[0], 'tff': KINDS[1], 'bff': KINDS[2]}
PARITIES = {KINDS[1]: 'tff', KINDS[2]: 'bff'}

# Where a film is looked at: at these parts of its length, so many frames each.
PLACES = (Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
FRAMES_EACH = 60
SHORT = 12  # seconds, below which the beginning will do
MIN_SHARE = 0.1  # of frames seen interlaced, for a film to be; of frames decided, to be believed
MIN_FRAMES = 10  # seen, for them to be believed against the flags
MOST = 0.9
MIN_STEADY = 0.8  # of frames seen interlaced, each by itself, that have the same field first
# In 3:2 telecine two frames of five repeat a field of the one before.
TELECINE = (0.25, 0.55)


class Survey(NamedTuple):
    """What a film's flags say of its fields, and what is seen.

    Attributes:
      stream: what the stream says: one of `KINDS` or 'unknown'.
      flagged: frames of each of `KINDS` by their own flags.
      seen: the same by looking; what cannot be told is left out.
      alone: the same by looking at each without those before it.
      repeated: frames of which one field repeats that of the frame before.
      frames: how many were looked at.
    """

    stream: str
    flagged: dict[str, int]
    seen: dict[str, int]
    alone: dict[str, int]
    repeated: int
    frames: int

    @property
    def verdict(self) -> str:
        """'progressive', 'top first', 'bottom first', 'mixed' or 'telecined'."""
        counts = self.seen if self._can_tell else self.flagged
        interlaced = counts.get(KINDS[1], 0) + counts.get(KINDS[2], 0)
        total = sum(counts.values())
        if self._can_tell and TELECINE[0] <= self.repeated / self.frames <= TELECINE[1]:
            return 'telecined'
        if interlaced <= MIN_SHARE * total:
            return KINDS[0]
        return self.order if interlaced >= MOST * total else 'mixed'

    @property
    def order(self) -> str:
        """Which field is first where there are two."""
        counts = self.seen if self._can_tell else self.flagged
        return max(KINDS[1:], key=lambda kind: counts.get(kind, 0))

    @property
    def flags_agree(self) -> bool:
        """Whether the frames' flags tell the same as looking does."""
        flagged = self._replace(seen={}, alone={}, repeated=0).verdict
        return self.verdict == flagged or not self._can_tell

    @property
    def _can_tell(self) -> bool:
        """Whether what is seen is to be believed.

        A film has one field first; where noise or blocks are taken for fields, it is now the one
        and now the other, which `seen` hides: what cannot be told there counts as the frame before.
        """
        total, (upper, lower) = sum(self.seen.values()), (self.alone.get(k, 0) for k in KINDS[1:])
        interlaced = total - self.seen.get(KINDS[0], 0)
        is_steady = max(upper, lower) >= MIN_STEADY * (upper + lower)
        enough = total >= max(MIN_FRAMES, MIN_SHARE * self.frames)
        return enough and (is_steady or interlaced <= MIN_SHARE * total)


def survey(path: Path) -> Survey:
    """Looks at a film's frames at some places.

    Raises:
      InputError: as for reading it.
    """
    found = _Counts()
    decoder = Decoder(path)
    order = decoder.context.field_order
    try:
        for start in _places(decoder):
            if start is not None:
                decoder.close()
                decoder = Decoder(path, start, exact=False)
            found.look(itertools.islice(decoder.frames(), FRAMES_EACH))
    finally:
        decoder.close()
    stream = STREAM_ORDERS.get(order, 'unknown')
    flagged, seen, alone = map(dict, (found.flagged, found.seen, found.alone))
    return Survey(stream, flagged, seen, alone, found.repeated, found.frames)


class _Counts:
    """Counts frames by their flags and by what is seen."""

    def __init__(self) -> None:
        self.flagged: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.alone: Counter[str] = Counter()
        self.repeated = self.frames = 0

    def look(self, frames: Iterable[Any]) -> None:
        """Adds frames that follow one another."""
        for frame in run_filters(self._count_flags(frames), [('idet', '')], Fraction(25)):
            for way, counts in (('multiple', self.seen), ('single', self.alone)):
                kind = SEEN.get(frame.metadata.get(f'lavfi.idet.{way}.current_frame', ''))
                if kind:
                    counts[kind] += 1
            repeated = frame.metadata.get('lavfi.idet.repeated.current_frame', 'neither')
            self.repeated += repeated != 'neither'
            self.frames += 1

    def _count_flags(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Passes frames on; afterwards their flags are those that idet has set."""
        flags = FieldFlags()
        for frame in frames:
            interlaced, top_first = flags.read(frame)
            self.flagged[KINDS[2 - top_first] if interlaced else KINDS[0]] += 1
            yield frame


def _places(decoder: Decoder) -> list[Fraction | None]:
    """Returns where to look, in seconds; None is the beginning."""
    tick = tick_of(decoder.stream)
    length = Fraction(decoder.container.duration or 0, av.time_base)
    if length < SHORT:
        return [None]
    start = (decoder.stream.start_time or 0) * tick
    return [start + place * length if place else None for place in PLACES]


def decide(mode: str, found: Survey | None) -> Deinterlacing:
    """Returns what to do about fields.

    Args:
      mode: one of `sr_jax.film.formats.DEINTERLACING`; 'auto' makes one frame of each that is
        interlaced.
      found: what is known of the film; needed unless `mode` is 'off'.

    Raises:
      InputError: no such mode.
    """
    if mode not in DEINTERLACING:
        raise InputError(f'--deinterlace {mode}: take one of {", ".join(DEINTERLACING)}')
    if mode == 'off' or found is None:
        return NO_CHANGE
    verdict = found.verdict
    if mode == 'auto' and verdict in ('progressive', 'telecined'):
        return NO_CHANGE
    if mode == 'auto':
        mode = 'frames'
    parity = 'auto' if found.flags_agree else PARITIES[found.order]
    if mode == 'telecine':
        return Deinterlacing(mode, parity)
    return Deinterlacing(mode, parity, only_flagged=found.flags_agree and verdict == 'mixed')
