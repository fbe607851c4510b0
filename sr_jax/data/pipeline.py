"""Endless training batches, by Grain."""

import functools
import logging
import os
import signal
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grain
import numpy as np
from absl import flags
from jaxtyping import Num

from sr_jax.config.settings import DataSettings
from sr_jax.data.crops import REJECTED, RandomCrop, collate, finish
from sr_jax.data.position import check_position
from sr_jax.data.rejection import Rejections, still_unusable
from sr_jax.data.sources import choose_fields, training_source
from sr_jax.errors import InputError

_log = logging.getLogger(__name__).warning

# Batches that the threads of this process make ahead of the training loop.
_BATCHES_AHEAD = 4

# Crops before the end of the data, which no run reaches. Grain counts batches as floats, which are
# exact so far: of `sys.maxsize` crops it made a number of batches that is no length in Python.
_CROPS = 2**53

# In what Grain says of a worker process that has gone.
_ENDED = 'terminated unexpectedly'

# Grain's shuffle of fewer than some thousand elements takes milliseconds for each of them.
_SHORTEST_PASS = 4096


def train_iterator(
    settings: DataSettings,
    batch_size: int,
    seed: int,
    report: Callable[[str], None] = _log,
    rows: slice | None = None,
    fields: Iterable[str] = (),
) -> 'TrainIterator':
    """Opens an endless stream of batches of random crops.

    Args:
      settings: which images, and how they are cut.
      batch_size: crops in a batch.
      seed: from 0 to 2**32 - 1; decides the order of the images and every crop.
      report: is given one line for each image that is passed over.
      rows: of each batch, those that this process makes; None = all of them.
      fields: what of the examples the batches hold; () = all that there is.

    Raises:
      InputError: the source cannot be opened or has no such field, or a number is out of range.
    """
    return TrainIterator(settings, batch_size, seed, report, rows, fields)


class TrainIterator:
    """Batches of crops, such as `{'hq': float32 [n, crop_size, crop_size, 3] in [0, 1]}`, without
    end.

    With `rows`, only those of each batch, so that several processes make one batch together; the
    position is that of the whole batches, and a run resumes from it with any number of processes.
    Of a paired source they hold 'lq' too, the same parts of the small images.
    Every image comes equally often in each pass over the source (once, or as often as makes the
    pass 4096 crops long), in a new order each time. Crop n is a function of the settings, the
    seed and n alone: neither the number of workers nor the batch size changes it. A broken or too
    small image is replaced by another one drawn at random; it is reported once, and when more
    than `settings.max_rejected` of them have been met, `next` raises `InputError` with the list.
    """

    def __init__(
        self,
        settings: DataSettings,
        batch_size: int,
        seed: int,
        report: Callable[[str], None] = _log,
        rows: slice | None = None,
        fields: Iterable[str] = (),
    ):
        if batch_size < 1:
            raise InputError(f'the batch size is {batch_size}, but must be at least 1')
        if not 0 <= seed < 2**32:
            raise InputError(f'the seed is {seed}, but must lie between 0 and 2**32 - 1')
        self._settings, self._batch_size, self._seed = settings, batch_size, seed
        self._rows = range(batch_size)[slice(None) if rows is None else rows]
        self._report = report
        self._source = training_source(settings)
        self._fields = choose_fields(self._source, fields, settings.source)
        self._rejections = Rejections(settings.max_rejected, report)
        self._crops_taken = 0
        self._batches: grain.DatasetIterator | None = None

    @property
    def rejected(self) -> dict[str, str]:
        """The names of the images passed over so far, and why."""
        return self._rejections.reasons

    def __iter__(self) -> 'TrainIterator':
        return self

    def __next__(self) -> dict[str, Num[np.ndarray, 'b *rest']]:
        if self._batches is None:
            self._batches = self._start()
            weakref.finalize(self, self._batches.close)  # at exit, before Python is torn down
        try:
            batch = next(self._batches)
            self._rejections.add(batch.pop(REJECTED))
        except Exception as error:
            self.close()
            if self._settings.workers and _ENDED in str(error):
                raise InputError(
                    'a process that reads images was ended from outside, by the system perhaps, '
                    'for want of memory: fewer than '
                    f'config.data.workers={self._settings.workers} need less; 0 has none'
                ) from error
            raise
        self._crops_taken += self._batch_size
        return batch

    def get_state(self) -> dict[str, Any]:
        """Returns the position after the last batch that was taken, fit for JSON.

        What was read ahead does not count.
        """
        return {
            'crops_taken': self._crops_taken,
            'rejected': dict(self.rejected),
            'made_from': self._describe_origin(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes to the position of `get_state`, of this or of an equal iterator.

        When the source, the seed or the crop size have changed since, that is reported. Of the
        images that were passed over, those count on that are in the source and unusable even now.

        Raises:
          InputError: it is no position; the iterator is as it was.
        """
        check_position(state)
        before = state['rejected']
        rejected = still_unusable(self._source, self._settings.crop_size, before)
        self.close()
        if forgotten := len(before) - len(rejected):
            self._report(
                f'{forgotten} of the {len(before)} images skipped before are usable now or no '
                'longer in the data, and count no more'
            )
        for key, now in self._describe_origin().items():
            was = state['made_from'].get(key)
            if was != now:
                self._report(
                    f'data {key} was {was} in the checkpoint and is {now} now, so the crops to '
                    'come may differ from those of an unbroken run'
                )
        self._crops_taken = state['crops_taken']
        self.set_rejected(rejected)

    def set_rejected(self, reasons: Mapping[str, str]) -> None:
        """Takes over which images have been passed over, here or by other processes, and why."""
        self._rejections.reasons = dict(reasons)

    def close(self) -> None:
        """Stops the threads and worker processes; the next `next` starts them again."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def _describe_origin(self) -> dict[str, Any]:
        return {
            'source': self._settings.source,
            'images': len(self._source),
            'seed': self._seed,
            'crop_size': self._settings.crop_size,
        }

    def _start(self) -> grain.DatasetIterator:
        crops = (
            grain.MapDataset.range(len(self._source))
            .repeat(-(-_SHORTEST_PASS // len(self._source)))
            .seed(self._seed)
            .shuffle()
            .repeat()
            .random_map(RandomCrop(self._source, self._settings, self._fields))
        )
        own = grain.MapDataset.source(_Rows(crops, self._crops_taken, self._batch_size, self._rows))
        batches = own.batch(
            len(self._rows), batch_fn=functools.partial(collate, fields=self._fields)
        )
        if self._settings.workers:
            return iter(self._read_in_processes(batches))
        threads = min(_BATCHES_AHEAD, os.cpu_count() or 1)
        reading = grain.ReadOptions(threads, _BATCHES_AHEAD)
        last = functools.partial(finish, fields=self._fields)
        return iter(batches.map(last).to_iter_dataset(reading))

    def _read_in_processes(self, batches: grain.MapDataset) -> grain.IterDataset:
        """Lets worker processes make the batches, and a thread of this one finish them."""
        if not flags.FLAGS.is_parsed():  # Grain reads its flags, whatever program it is used in
            flags.FLAGS.mark_as_parsed()
        last = functools.partial(finish, fields=self._fields)
        reading = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        workers = grain.MultiprocessingOptions(self._settings.workers, per_worker_buffer_size=2)
        batches = (
            batches.to_iter_dataset(reading).mp_prefetch(workers, _leave_signals).map(last)
        )
        return grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=2)


class _Rows:
    """Some rows of every batch of a data set, one after the other, as a source for Grain."""

    def __init__(self, crops: grain.MapDataset, first: int, batch_size: int, rows: range):
        self._crops, self._first, self._batch_size, self._rows = crops, first, batch_size, rows

    def __len__(self) -> int:
        return (_CROPS - self._first) // self._batch_size * len(self._rows)

    def __getitem__(self, index: int) -> Any:
        batch, row = divmod(index, len(self._rows))
        return self._crops[self._first + batch * self._batch_size + self._rows[row]]

    def __repr__(self) -> str:
        return f'rows {self._rows} of batches of {self._batch_size} from crop {self._first}'


def _leave_signals(worker: int, workers: int) -> None:
    """Ignores Ctrl-C in a worker: the parent still wants batches until it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


