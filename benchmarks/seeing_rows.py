"""The rows of `seeing_experiment.py`: what is trained, from where, and with which metric."""

from typing import Any, NamedTuple

from configs.segmentation import LARGE

STAGE_1 = 'dense'
BREADTH = 4


class Row(NamedTuple):
    """A line of a table.

    Attributes:
      title: what it says there.
      changes: of the config's keys.
      start: the row that it starts from, or ''.
    """

    title: str
    changes: dict[str, Any] = {}  # noqa: RUF012
    start: str = ''


class Table(NamedTuple):
    """An experiment.

    Attributes:
      config: of all its rows.
      metric: that is compared.
      common: changes of the config's keys in all rows.
      rows: by name, the first one without any start.
    """

    config: str
    metric: str
    common: dict[str, Any]
    rows: dict[str, Row]


def switched(layers: tuple[str, ...]) -> dict[str, Any]:
    """Keys of a switched network."""
    return {'model.switching.layers': layers, 'model.switching.breadth': BREADTH}


def rows(layers: tuple[str, ...], wide: int) -> dict[str, Row]:
    """Dense and switched from scratch, and both again from the dense one.

    Args:
      layers: that are switched.
      wide: features of a dense network of at least as many parameters as the switched one.
    """
    return {
        STAGE_1: Row('dense'),
        'wide': Row('dense, of as many parameters', {'model.features': wide}),
        'switched': Row('switched, from scratch', switched(layers)),
        'dense_on': Row('dense, trained on for as long', start=STAGE_1),
        'converted': Row('converted to switched, trained on', switched(layers), STAGE_1),
    }


def upper(stages: tuple[int, ...], blocks: dict[int, int], convolutions: tuple[int, ...]) -> tuple:
    """The 3 x 3 convolutions of some stages."""
    return tuple(
        f'backbone/stage_{stage}_block_{block}/conv_{i}'
        for stage in stages
        for block in range(blocks[stage])
        for i in convolutions
    )


SMALL = {'data.crop_size': 16, 'train.steps': 400, 'model.features': 8, 'evaluation.every': 400}
EIGHTEEN = upper((2, 3), {2: 2, 3: 2}, (0, 1))
FIFTY = upper((3,), {3: 3}, (1,))
TABLES = {
    'classify_18': Table(
        'configs/classification.py', 'top_1', {**SMALL, 'model.depth': 18}, rows(EIGHTEEN, 17)
    ),
    'classify_50': Table(
        'configs/classification.py', 'top_1', {**SMALL, 'model.depth': 50}, rows(FIFTY, 12)
    ),
    'segment': Table(
        'configs/segmentation.py',
        'mean_iou',
        {'data.crop_size': 32, 'train.steps': 400, 'model.features': 6, 'evaluation.every': 400},
        rows(LARGE, 8),
    ),
}
