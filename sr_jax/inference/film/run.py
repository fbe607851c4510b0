"""A film through a network: decoding, the devices and encoding overlap, each in its own thread."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from sr_jax.film.formats import Planes
from sr_jax.inference.film.ahead import ahead
from sr_jax.inference.film.batches import Batch, Begin, End, Event, read_batches
from sr_jax.inference.film.enlarger import Enlarger
from sr_jax.inference.film.frames import Made
from sr_jax.inference.film.plan import FilmPlan
from sr_jax.inference.film.progress import Meter

READ_AHEAD = 2  # batches that wait for the devices
IN_FLIGHT = 2  # on the devices
MADE_AHEAD = 2  # that wait for the encoder


class Frame(NamedTuple):
    """An enlarged frame: its planes [h, w], and when it is shown, in ticks."""

    planes: Planes
    pts: int
    duration: int


Output: TypeAlias = Begin | Frame | End


def enlarge_pieces(
    plan: FilmPlan, enlarger: Enlarger, wanted: Iterable[int], meter: Meter
) -> Generator[Output, None, None]:
    """Yields the enlarged frames of pieces of a film, between the beginning and the end of each.

    Close it (`contextlib.closing`) where it is not used to its end: threads run behind it.

    Args:
      plan: of the film.
      enlarger: of its frames.
      wanted: numbers of the pieces, ascending.
      meter: of the time.

    Raises:
      InputError: as for reading the film, or what a network makes is not finite.
    """
    read = ahead(read_batches(plan, wanted, enlarger.batch, meter.decoding), READ_AHEAD)
    made = ahead(_compute(read, enlarger, meter), MADE_AHEAD)
    last: Planes | None = None
    with contextlib.closing(made):
        for event, planes in made:
            if not isinstance(event, Batch):
                yield event
                continue
            for pts, duration, place in event.shown:
                current = last if place < 0 else tuple(each[place] for each in planes or ())
                assert current is not None  # the first frame of a piece is always computed
                yield Frame(current, pts, duration)
                meter.done += 1
            if planes:
                last = tuple(each[event.new - 1] for each in planes)


def _compute(
    events: Generator[Event, None, None], enlarger: Enlarger, meter: Meter
) -> Generator[tuple[Event, Planes | None], None, None]:
    """Yields all events in their order, batches with the enlarged planes of their frames."""
    flying: deque[tuple[Event, Made | None]] = deque()

    def give(most: int) -> Iterator[tuple[Event, Planes | None]]:
        """Yields what is there, until no more than so many batches are on the devices."""
        while flying and (_count(flying) > most or flying[0][1] is None):
            event, made = flying.popleft()
            planes = None if made is None else enlarger.finish(made)
            with _unless(_count(flying) > 0, meter.device_idle):
                yield event, planes

    with contextlib.closing(events):
        while True:
            with _unless(_count(flying) > 0, meter.device_idle):
                event = next(events, None)
            if event is None:
                break
            made = None
            if isinstance(event, Begin):
                enlarger.begin(event.before)
            elif isinstance(event, Batch) and event.planes is not None:
                made = enlarger.start(event.planes)
            flying.append((event, made))
            yield from give(IN_FLIGHT - 1)
        yield from give(0)


def _count(flying: Iterable[tuple[Event, Made | None]]) -> int:
    return sum(made is not None for _, made in flying)


def _unless(
    busy: bool, watch: Callable[[], contextlib.AbstractContextManager[None]]
) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if busy else watch()
