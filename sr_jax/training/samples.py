"""The images that a training run shows of itself."""

import dataclasses
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
from jax.sharding import Mesh

from sr_jax.checkpoints.run import read_switching
from sr_jax.data.pipeline import validation_batches
from sr_jax.devices import sharding
from sr_jax.images import selector_map
from sr_jax.images.contact_sheet import grid
from sr_jax.training.settings import Settings

SHOWN = {'image', 'lq', 'choices'}  # of the outputs of a network


def sample_sheets(
    config: ml_collections.ConfigDict,
    settings: Settings,
    predict: Callable[..., dict[str, Any]],
    variables: dict[str, Any],
    mesh: Mesh,
    report: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """Returns grids of validation images, float32 [H, W, 3] in [0, 1].

    'samples', each beside what the network makes of it (and before them what it was given, where
    that was smaller), and 'selectors', what the switched convolutions chose in the first, if there
    are any. Every process must call it.

    Args:
      config: of the run.
      settings: its sections; `log.samples` images are shown.
      predict: the jitted function of the task.
      variables: of the network, whole on every device.
      mesh: over which a batch is split.
      report: is given a line about each image that is passed over.
    """
    data = dataclasses.replace(settings.data, validation_crops=settings.log.samples)
    shown: list[tuple[np.ndarray, ...]] = []
    grids: dict[str, np.ndarray] = {}
    for batch in validation_batches(data, settings.evaluation.batch_size, report):
        kept = int(batch.pop('mask').sum())
        outputs = predict(variables, sharding.put_rows(batch, mesh))
        outputs = sharding.fetch_all({k: outputs[k] for k in SHOWN & outputs.keys()})
        true, image = batch['hq'][:kept], outputs['image'][:kept]
        if 'lq' in outputs:
            given = _enlarged(outputs['lq'][:kept], true.shape[1])
            shown.append((given, image, true))
        else:
            shown.append((true, image))
        if 'choices' in outputs and not grids:
            choices = {layer: c[0] for layer, c in outputs['choices'].items()}
            breadth = read_switching(config).breadth
            grids['selectors'] = selector_map.draw(batch['hq'][0], choices, breadth)
    columns = [np.concatenate(column) for column in zip(*shown, strict=True)]
    return {'samples': grid(columns), **grids}


def _enlarged(images: np.ndarray, size: int) -> np.ndarray:
    """Returns square images with their pixels repeated up to so many a side."""
    factor = -(-size // images.shape[1])
    return images.repeat(factor, axis=1).repeat(factor, axis=2)[:, :size, :size]
