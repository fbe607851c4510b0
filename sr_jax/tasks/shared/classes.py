"""How many classes there are, and labels that are of none."""

import ml_collections
import numpy as np

from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings
from sr_jax.data.protocol import ClassifiedSource
from sr_jax.data.sources import open_source
from sr_jax.errors import InputError


def complete(config: ml_collections.ConfigDict, key: str) -> None:
    """Writes how many classes a part of the training examples has into `config.model.classes`
    where it is 0.

    Raises:
      InputError: the source does not say it.
    """
    if config.model.classes:
        return
    settings = bind(DataSettings, config.data, 'config.data')
    source = open_source(settings.source, 'train', settings)
    found = source.classes if isinstance(source, ClassifiedSource) else {}
    if key not in found:
        raise InputError(
            f'config.model.classes=0, but the source {settings.source!r} does not say how many '
            f'classes its {key!r} has: set config.model.classes'
        )
    config.model.classes = len(found[key])


def check_labels(labels: np.ndarray, classes: int, what: str, ignored: int | None = None) -> None:
    """Raises InputError for a label that is none of the classes.

    Args:
      labels: of any shape.
      classes: how many there are.
      what: of which the label is, such as 'a label'.
      ignored: a number that stands for no class.
    """
    wrong = (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= labels != ignored
    if wrong.any():
        raise InputError(
            f'{what} is {int(labels[wrong][0])}, but config.model.classes={classes} are numbered '
            f'from 0 to {classes - 1}: set config.model.classes, or mend the data'
        )
