import pathlib
import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from sr_jax.training.tensorboard import TensorBoard


def read(folder):
    """Returns the events of the one file in a folder, having checked every checksum."""
    (path,) = folder.iterdir()
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack('<Q', data[:8])
        header, body = data[8:12], data[12 : 12 + length]
        assert header == struct.pack('<I', masked_crc32c(data[:8]))
        assert data[12 + length : 16 + length] == struct.pack('<I', masked_crc32c(body))
        events.append(Event.FromString(body))
        data = data[16 + length :]
    return events


def test_scalars_and_images_can_be_read_back(tmp_path):
    board = TensorBoard(tmp_path / 'logs', start=7)
    board.scalars(8, {'train/loss': 0.25, 'train/rate': 3})
    board.image(9, 'samples', np.full((4, 6, 3), 0.5, np.float32))
    version, session, loss, rate, image = read(tmp_path / 'logs')
    assert version.file_version == 'brain.Event:2'
    assert (session.step, session.session_log.status) == (7, SessionLog.START)
    assert (loss.step, loss.summary.value[0].tag) == (8, 'train/loss')
    assert loss.summary.value[0].simple_value == 0.25
    assert rate.summary.value[0].simple_value == 3
    image = image.summary.value[0].image
    assert (image.height, image.width) == (4, 6)
    assert image.encoded_image_string.startswith(b'\x89PNG')


def test_a_full_disk_is_named(tmp_path):
    board = TensorBoard(tmp_path, 3)
    board._path = pathlib.Path('/dev/full')
    with pytest.raises(OSError, match='/dev/full'):
        board.scalars(3, {'train/loss': 0.5})


def test_two_runs_in_one_folder_have_a_file_each(tmp_path):
    TensorBoard(tmp_path, 0)
    TensorBoard(tmp_path, 0)
    assert len(list(tmp_path.iterdir())) == 2
