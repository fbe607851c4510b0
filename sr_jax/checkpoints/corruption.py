"""Checkpoints that Orbax could not even be told of, found before it opens a run's folder.

A run that resumes has Orbax read when each checkpoint was made and what it measured; a single
damaged file would keep it from opening any.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from sr_jax.checkpoints import metadata
from sr_jax.errors import first_line

ITEMS = ('state', 'run')
# Nothing is read when it is opened.
READ_ONLY: dict[str, Any] = {
    'read_only': True,
    'save_interval_steps': 0,
    'lightweight_initialize': True,
    'create': False,  # as all that would write: Orbax warns of what it has to change itself
}


@contextlib.contextmanager
def quiet_reading() -> Iterator[None]:
    """Leaves out of the log that Orbax reads only, of which it warns though it was asked to.

    Nothing else is touched: neither levels and handlers nor other lines.
    """
    logger = logging.getLogger('absl')

    def is_told(record: logging.LogRecord) -> bool:
        about_reading = re.search('read[ _]only', str(record.msg)) is not None
        return not (about_reading and 'orbax' in record.pathname)

    logger.addFilter(is_told)
    try:
        yield
    finally:
        logger.removeFilter(is_told)


def reader(folder: Path) -> ocp.CheckpointManager:
    """Returns a manager that does not wait for other processes, which may find a file broken."""
    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f'reader_{own}'
    )
    with quiet_reading():
        return ocp.CheckpointManager(
            folder,
            item_names=ITEMS,
            options=ocp.CheckpointManagerOptions(**READ_ONLY, multiprocessing_options=alone),
        )


def find_unreadable(folder: Path) -> dict[int, str]:
    """Returns the steps of a run's folder `checkpoints` that Orbax cannot open, and why."""
    found = {}
    manager = reader(folder)
    for step in sorted(manager.all_steps()):
        try:
            _open(manager, folder, step)
        except Exception as error:  # Orbax raises a dozen kinds for damaged files
            found[step] = first_line(error)
    manager.close()
    return found


def _open(manager: ocp.CheckpointManager, folder: Path, step: int) -> None:
    metadata.check_files(folder / str(step))
    measured = metadata.metrics_path(folder / str(step))
    if measured.exists():
        try:
            metadata.read_metrics(measured)
        except (ValueError, OSError) as error:
            raise ValueError(f'its metrics: {first_line(error)}') from error
    manager.metrics(step)
    known = ocp.path.step.standard_name_format().find_step(folder, step)
    known.commit_timestamp  # noqa: B018
