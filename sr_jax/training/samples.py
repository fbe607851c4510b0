"""What a training run shows of itself: the panels of its task."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sr_jax.data.validation import validation_batches
from sr_jax.devices import sharding
from sr_jax.images.contact_sheet import grid
from sr_jax.tasks.task import Outputs, Task, Variables
from sr_jax.training.settings import Settings


def draw_panels(
    task: Task,
    settings: Settings,
    predict: Callable[..., Outputs],
    variables: Variables,
    mesh: Mesh,
    report: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """Returns grids of validation examples, float32 [H, W, 3] in [0, 1], by the panels' names.

    Every process must call it.

    Args:
      task: of the run.
      settings: of the run; `log.samples` examples are shown.
      predict: the jitted function of the task.
      variables: of the network, whole on every device.
      mesh: over which a batch is split.
      report: is given a line about each image that is passed over.
    """
    data = dataclasses.replace(settings.data, validation_crops=settings.log.samples)
    shown: list[tuple[dict[str, Any], Outputs]] = []
    batches = validation_batches(data, settings.evaluation.batch_size, report, task.batch(1))
    for batch in map(task.check, batches):
        kept = int(batch.pop('mask').sum())
        outputs = sharding.fetch_all(predict(variables, sharding.put_rows(batch, mesh)))
        shown.append(jax.tree.map(lambda x, kept=kept: np.asarray(x)[:kept], (batch, outputs)))
    batch, outputs = jax.tree.map(lambda *parts: np.concatenate(parts), *shown)
    return {name: grid(columns) for name, columns in task.panels(batch, outputs).items()}
