"""A network measured on the examples that a run validates on, by whatever its task measures."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sr_jax.devices import distributed, sharding
from sr_jax.errors import InputError, first_line
from sr_jax.tasks.shared.evaluation import add_totals
from sr_jax.tasks.task import Evaluation, Outputs, Row, Totals, Variables
from sr_jax.training.settings import Settings


def evaluate_batches(
    predict: Callable[..., Outputs],
    variables: Variables,
    batches: Iterable[dict[str, Any]],
    evaluation: Evaluation,
    mesh: Mesh,
) -> dict[str, float]:
    """Returns the metrics of an evaluation over batches; every process must call it.

    Args:
      predict: the jitted function of the task (`sharding.jit_predict`).
      variables: of the network, whole on every device.
      batches: of NumPy arrays, with 'mask' [n]; examples with mask 0 do not count.
      evaluation: of the task.
      mesh: over which a batch is split.

    Raises:
      InputError: examples cannot be measured; the message says which.
    """
    rows: list[Row] = []
    totals: Totals = {}
    for batch in batches:
        mask = batch.pop('mask') > 0
        own = sharding.own_rows(mesh, len(mask))
        outputs = sharding.fetch_own(predict(variables, sharding.put_rows(batch, mesh)))
        kept = mask[own]
        if not kept.any():
            continue
        found = jax.tree.map(lambda x, kept=kept: np.asarray(x)[kept], outputs)
        given = {name: values[own][kept] for name, values in batch.items()}
        try:
            new_rows, new_totals = evaluation.measure(given, found)
        except InputError as error:
            counted = f'{len(rows) + 1} to {len(rows) + int(kept.sum())}'
            raise InputError(f'validation examples {counted}: {error}') from error
        rows += new_rows
        totals = add_totals(totals, new_totals)
    return evaluation.summarize(*_gather_all(rows, totals))


@contextlib.contextmanager
def naming_batch_size(settings: Settings) -> Iterator[None]:
    """Says of a device that has too little memory for a validation batch which key is to blame.

    Raises:
      InputError: it has.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        size, most = settings.evaluation.batch_size, settings.data.validation_crops
        more = f', of which there are {most} at most' if size > most else ''
        raise InputError(
            f'config.evaluation.batch_size={size}: the device has too little memory for so many '
            f'validation images at a time{more}: take fewer ({first_line(error)})'
        ) from error


def _gather_all(rows: list[Row], totals: Totals) -> tuple[list[Row], Totals]:
    """Returns the rows and totals of this and all other processes."""
    own = {'rows': rows, 'totals': jax.tree.map(lambda x: np.asarray(x).tolist(), totals)}
    told = [json.loads(text) for text in distributed.gather(json.dumps(own))]
    together: Totals = functools.reduce(add_totals, (part['totals'] for part in told), {})
    return [row for part in told for row in part['rows']], together
