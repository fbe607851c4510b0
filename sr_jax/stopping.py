"""SIGTERM and Ctrl-C as a request that a loop looks at, instead of an end in the middle."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any


class Stop:
    """Which signal asked to stop, if any.

    Attributes:
      signal: its number, or None.
    """

    signal: int | None = None


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Within it, the first SIGTERM or SIGINT is only noted; a second one ends the process."""
    stop = Stop()
    before: dict[signal.Signals, Any] = {}

    def note(number, frame):
        stop.signal = number
        restore()

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()
