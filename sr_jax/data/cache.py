"""Decoded images kept in memory."""

import collections
import threading
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from sr_jax.data.protocol import Source
from sr_jax.images.decoding import to_float


class ImageCache:
    """A source of images that keeps those used last, up to a number of bytes.

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
        self._kept: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def name(self, index: int) -> str:
        """What messages call the image."""
        return self.source.name(index)

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """The image in its own precision; not to be written to."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        pixels = self.source.pixels(index)
        self._keep(index, pixels)
        return pixels

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """The image as float32 in [0, 1]."""
        return to_float(self.pixels(index))

    def _keep(self, index: int, pixels: np.ndarray) -> None:
        with self._lock:
            if index in self._kept or pixels.nbytes > self._limit:
                return
            self._kept[index] = pixels
            self._bytes += pixels.nbytes
            while self._bytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.nbytes
