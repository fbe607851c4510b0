"""Where the time goes while a film is enlarged, and how far it is."""

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a film is.

    Attributes:
      done: frames written, those that were done before included.
      total: about how many there are.
      rate: frames a second of this run.
      decode, device, encode: shares of the time in which each is at work; they overlap. The
        device's is an upper bound: what it has in hand may be done already.
    """

    done: int
    total: int
    rate: float
    decode: float
    device: float
    encode: float

    @property
    def seconds_left(self) -> float:
        """About how many seconds it takes still."""
        return max(self.total - self.done, 0) / self.rate if self.rate else float('inf')

    def __str__(self) -> str:
        shares = f'decode {self.decode:.0%} | device {self.device:.0%} | encode {self.encode:.0%}'
        left = 'unknown' if not self.rate else _clock(self.seconds_left)
        count = f'{self.done} of {self.total} frames, {self.rate:.2f} a second'
        return f'{count}, {shares}, {left} left'


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}'


class Meter:
    """Adds up where the time goes; each part is measured in one thread.

    Attributes:
      done: frames written.
    """

    def __init__(self, done: int, total: int):
        self._before, self.done, self._total = done, done, total
        self._began = time.perf_counter()
        self._decode = self._idle = self._encode = 0.0

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        """Measures reading."""
        begin = time.perf_counter()
        yield
        self._decode += time.perf_counter() - begin

    @contextlib.contextmanager
    def device_idle(self) -> Iterator[None]:
        """Measures how long the devices have nothing to do, or cannot get rid of what is done."""
        begin = time.perf_counter()
        yield
        self._idle += time.perf_counter() - begin

    @contextlib.contextmanager
    def encoding(self) -> Iterator[None]:
        """Measures writing."""
        begin = time.perf_counter()
        yield
        self._encode += time.perf_counter() - begin

    def progress(self) -> Progress:
        """Returns how far it is."""
        spent = max(time.perf_counter() - self._began, 1e-9)
        rate = (self.done - self._before) / spent
        total = max(self._total, self.done)
        shares = (self._decode / spent, 1 - min(self._idle / spent, 1), self._encode / spent)
        return Progress(self.done, total, rate, *shares)
