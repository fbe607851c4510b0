"""The rows of `seeing_experiment.py`: what is trained, from where, and with which metric."""

from typing import Any, NamedTuple

from configs.segmentation import LARGE

BREADTH = 4


class Kind(NamedTuple):
    """What rows train.

    Attributes:
      config: of all of them.
      metric: that is compared.
      changes: of the config's keys in all of them.
    """

    config: str
    metric: str
    changes: dict[str, Any]


class Row(NamedTuple):
    """A line of a table.

    Attributes:
      title: what it says there.
      kind: what is trained.
      changes: of the config's keys.
      start: the row that it starts from, or ''.
      part: of that row's network, '' for all of it.
      latents: the row whose latents its selectors look at, or ''.
      control: the row that it is compared with, or ''.
    """

    title: str
    kind: Kind
    changes: dict[str, Any] = {}  # noqa: RUF012
    start: str = ''
    part: str = ''
    latents: str = ''
    control: str = ''


def switched(layers: tuple[str, ...]) -> dict[str, Any]:
    """Keys of a switched network."""
    return {'model.switching.layers': layers, 'model.switching.breadth': BREADTH}


def against_dense(kind: Kind, layers: tuple[str, ...], wide: int) -> dict[str, Row]:
    """Dense and switched from scratch, and both again from the dense one.

    Args:
      kind: what is trained.
      layers: that are switched.
      wide: features of a dense network of at least as many parameters as the switched one.
    """
    more = {'model.features': wide}
    return {
        'dense': Row('dense', kind),
        'wide': Row('dense, of as many parameters', kind, more, control='dense'),
        'switched': Row('switched, from scratch', kind, switched(layers), control='dense'),
        'dense_on': Row('dense, trained on for as long', kind, start='dense'),
        'converted': Row(
            'converted to switched, trained on',
            kind,
            switched(layers),
            'dense',
            control='dense_on',
        ),
    }


def upper(stages: tuple[int, ...], blocks: dict[int, int], convolutions: tuple[int, ...]) -> tuple:
    """The 3 x 3 convolutions of some stages."""
    return tuple(
        f'backbone/stage_{stage}_block_{block}/conv_{i}'
        for stage in stages
        for block in range(blocks[stage])
        for i in convolutions
    )


def by_latents(segment: Kind, contrast: Kind) -> dict[str, Row]:
    """Selectors that look at latents of PixPro, and at those of a network that nothing has trained;
    the control's look at their own features.

    Args:
      segment: of the segmenters.
      contrast: of PixPro.
    """
    untrained = {'train.steps': 1, 'optimizer.learning_rate': 0.0}
    trained = {**switched(DECODER), 'selectors.trained': True}
    return {
        'pixpro': Row('PixPro', contrast),
        'untrained': Row('PixPro, untrained', contrast, untrained),
        'random': Row(
            'switched, by latents of an untrained network',
            segment,
            switched(DECODER),
            latents='untrained',
            control='switched',
        ),
        'frozen': Row(
            'switched, by latents of PixPro',
            segment,
            switched(DECODER),
            latents='pixpro',
            control='switched',
        ),
        'trained': Row(
            'switched, by latents of PixPro, trained on',
            segment,
            trained,
            latents='pixpro',
            control='switched',
        ),
    }


def by_labels() -> dict[str, Row]:
    """Classifiers and segmenters of few labels, from encoders that have seen none."""
    found = {'sr': Row('super-resolution', ENLARGE), 'pixpro': Row('PixPro', CONTRAST_ALIKE)}
    starts = {'': 'no pre-training', **{key: row.title for key, row in found.items()}}
    for what, kind in (('classify', CLASSIFY_FEW), ('segment', SEGMENT_FEW)):
        for count in (10, 100, 1000):
            for start, title in starts.items():
                found[f'{what}_{count}_{start or "none"}'] = Row(
                    f'{count:,} images, {title}',
                    kind,
                    {'data.max_examples': count},
                    start,
                    'backbone' if start else '',
                    control=f'{what}_{count}_none' if start else '',
                )
    return found


CLASSIFY = {'data.crop_size': 24, 'data.validation_crops': 1024, 'optimizer.learning_rate': 0.05}
# A switch norm begins once its buffer is full: 256 rows would not be before the last step.
NORM = {'model.switching.norm_size': 32}
SMALL = {**CLASSIFY, **NORM, 'train.steps': 200, 'train.batch_size': 16, 'model.features': 8}
SMALL_18 = Kind('configs/classification.py', 'top_1', {**SMALL, 'model.depth': 18})
LONGER_18 = SMALL_18._replace(changes={**SMALL_18.changes, 'train.steps': 1000})
SMALL_50 = Kind('configs/classification.py', 'top_1', {**SMALL, 'model.depth': 50})
# A lambda layer at the full resolution takes longer than all the rest of so small a network.
SEGMENT = Kind(
    'configs/segmentation.py',
    'mean_iou',
    {
        **NORM,
        'train.steps': 250,
        'train.batch_size': 8,
        'model.features': 6,
        'model.switching.network': 'standard',
    },
)
BEFORE = {'train.steps': 250, 'train.batch_size': 16}
CONTRAST = Kind('configs/pixel_contrast.py', 'agreement', BEFORE)
SEGMENT_LONGER, CONTRAST_LONGER = (
    kind._replace(changes={**kind.changes, 'train.steps': 1500}) for kind in (SEGMENT, CONTRAST)
)

ENCODER = {'model.features': 8, 'model.depth': 10}
FEW = {**ENCODER, 'train.steps': 150, 'train.batch_size': 16}
ENLARGE = Kind('configs/resnet_sr.py', 'psnr_y_matlab_crop4', {**ENCODER, **BEFORE})
CONTRAST_ALIKE = Kind(
    'configs/pixel_contrast.py',
    'agreement',
    {**ENCODER, **BEFORE, 'data.source': 'textures', 'data.crop_size': 24},
)
CLASSIFY_FEW = Kind('configs/classification.py', 'top_1', {**CLASSIFY, **FEW})
SEGMENT_FEW = Kind('configs/segmentation.py', 'mean_iou', FEW)

EIGHTEEN = upper((2, 3), {2: 2, 3: 2}, (0, 1))
FIFTY = upper((3,), {3: 3}, (1,))
DECODER = tuple(name for name in LARGE if name.startswith('decoder'))
TABLES = {
    'classify_18': against_dense(SMALL_18, EIGHTEEN, 17),
    'classify_18_longer': against_dense(LONGER_18, EIGHTEEN, 17),
    'classify_50': against_dense(SMALL_50, FIFTY, 12),
    'segment': {**against_dense(SEGMENT, DECODER, 7), **by_latents(SEGMENT, CONTRAST)},
    'segment_longer': {
        **against_dense(SEGMENT_LONGER, DECODER, 7),
        **by_latents(SEGMENT_LONGER, CONTRAST_LONGER),
    },
    'pretraining': by_labels(),
}
