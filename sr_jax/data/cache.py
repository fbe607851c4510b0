"""Decoded examples kept in memory."""

import collections
import threading
from typing import Any

import numpy as np

from sr_jax.data.fields import Fields
from sr_jax.data.protocol import Source


class ExampleCache:
    """A source that keeps the examples used last, up to a number of bytes.

    Safe in threads. A pickled copy starts empty, so that it is cheap to send to a process.
    """

    def __init__(self, source: Source, limit: int):
        self.source = source
        self._limit = limit
        self._clear()

    def __len__(self) -> int:
        return len(self.source)

    def __getstate__(self) -> dict[str, Any]:
        return {'source': self.source, '_limit': self._limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear()

    def _clear(self) -> None:
        self._kept: collections.OrderedDict[int, dict[str, Any]] = collections.OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def name(self, index: int) -> str:
        """Returns what messages call the example."""
        return self.source.name(index)

    @property
    def fields(self) -> Fields:
        """Of which kind each part of an example is, by key."""
        return self.source.fields

    def example(self, index: int) -> dict[str, Any]:
        """Returns the example, images in their own precision; not to be written to."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        example = self.source.example(index)
        self._keep(index, example)
        return example

    def _keep(self, index: int, example: dict[str, Any]) -> None:
        size = _bytes_of(example)
        with self._lock:
            if index in self._kept or size > self._limit:
                return
            self._kept[index] = example
            self._bytes += size
            while self._bytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= _bytes_of(dropped)


def _bytes_of(example: dict[str, Any]) -> int:
    return sum(np.asarray(value).nbytes for value in example.values())
