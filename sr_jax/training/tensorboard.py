"""Scalars and images for TensorBoard, written at once and without a thread of its own.

`tensorboardX.SummaryWriter` writes from a background thread, where a full disk shows as tracebacks
after the run has ended; here it is an `OSError` where it happens.
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from sr_jax.errors import name_file


class TensorBoard:
    """Appends to an event file of its own in a folder, which is made if missing.

    Args:
      folder: where TensorBoard looks: `tensorboard --logdir <folder>`.
      start: updates done before; what an earlier file holds of later steps is hidden.
    """

    def __init__(self, folder: Path, start: int):
        folder.mkdir(parents=True, exist_ok=True)
        name = f'events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}'
        self._path = folder / name
        self._append(Event(wall_time=time.time(), file_version='brain.Event:2'))
        session = SessionLog(status=SessionLog.START)
        self._append(Event(wall_time=time.time(), step=start, session_log=session))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a value under each name."""
        for name, value in values.items():
            self._add(step, summary.scalar(name, value))

    def image(self, step: int, name: str, image: Float[np.ndarray, 'h w 3']) -> None:
        """Adds an image in [0, 1]."""
        self._add(step, summary.image(name, image, dataformats='HWC'))

    def _add(self, step: int, value: summary.Summary) -> None:
        self._append(Event(wall_time=time.time(), step=step, summary=value))

    def _append(self, event: Event) -> None:
        """Writes a record: length, its checksum, the event, its checksum."""
        data = event.SerializeToString()
        length = struct.pack('<Q', len(data))
        checksums = [struct.pack('<I', masked_crc32c(part)) for part in (length, data)]
        with name_file(self._path), self._path.open('ab') as file:
            file.write(length + checksums[0] + data + checksums[1])
