"""SIGTERM and Ctrl-C as a request that a loop looks at, instead of an end in the middle."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sr_jax.devices import sharding


class Stop:
    """Which signal asked to stop, if any.

    Attributes:
      signal: the number of the one that came to this process, or None.
    """

    signal: int | None = None

    def __init__(self, mesh: Mesh):
        self._mesh = mesh
        rows = sharding.own_rows(mesh, mesh.size)
        self._own = rows.stop - rows.start
        self._highest = jax.jit(jnp.max, out_shardings=sharding.replicated_sharding(mesh))
        self._asked: jax.Array | None = None

    def agree(self) -> int | None:
        """Returns the signal on which all processes stop now, or None.

        Every process calls it once a step. A process alone knows at once; several know after the
        step that follows, so that none of them waits for an answer.
        """
        if jax.process_count() == 1:
            return self.signal
        told = None if self._asked is None else int(self._asked) or None
        noted = np.full(self._own, self.signal or 0, np.int32)
        self._asked = self._highest(sharding.put_batch(noted, self._mesh))
        return told


@contextlib.contextmanager
def stop_signals(mesh: Mesh) -> Iterator[Stop]:
    """Notes the first SIGTERM or SIGINT instead of ending; a second one ends the process.

    Args:
      mesh: of all the processes that are to agree.
    """
    stop = Stop(mesh)
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
