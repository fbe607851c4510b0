"""The rows of `video_experiment.py`: each is a variant of this config.

  python -m sr_jax.main --config benchmarks/video_rows.py:ping_pong

With those of `clips`, a recurrent network first learns from the pixels (`start`) and goes on in one
of several ways; `images` and `translational` go on with single images, by the task `gan`. Those of
`judged` go on for longer, with a discriminator of spectral norms. With those of `tape`, a network
learns to clean and enlarge degraded clips.
"""

from typing import NamedTuple

import ml_collections

from configs import video
from sr_jax.config.defaults import check_variant, defaults

START, FURTHER, LONGER, TAPE = 4000, 500, 3000, 150  # updates
SIZE, FRAMES = 48, 5
FRACTION = 0.2  # of the photographs, to validate on
ADVERSARIAL, BLOCKS, PING_PONG, TRANSLATIONAL = 0.01, 1.0, 1.0, 1.0  # weights of losses
RATE, FURTHER_RATE = 1e-3, 5e-4
# Of a discriminator as published, but small; and of one that acts, that of configs/video.py.
PUBLISHED_JUDGE = {'features': 8, 'norm': 'batch'}
JUDGE_RATE, JUDGE_WEIGHT = 2e-3, 0.1
PUBLISHED = 'realesr-animevideov3'


class Row(NamedTuple):
    """A line of a table.

    Attributes:
      title: what it says there.
      start: the row that it starts from, or the name of published weights, or ''.
    """

    title: str
    start: str = ''


class Table(NamedTuple):
    """An experiment.

    Attributes:
      kind: of the small frames that it measures with: see `video_measures.KINDS`.
      rows: by the variant of the config, the first one without a start.
    """

    kind: str
    rows: dict[str, Row]


TABLES = {
    'clips': Table(
        'clean',
        {
            'start': Row(f'pixels, {START:,} updates'),
            'on': Row(f'pixels, {FURTHER} more', 'start'),
            'ping_pong': Row('ping-pong', 'start'),
            'adversarial': Row('temporal discriminator', 'start'),
            'both': Row('temporal discriminator and ping-pong', 'start'),
            'images': Row('discriminator of images', 'start'),
            'translational': Row('discriminator of images, translational loss', 'start'),
        },
    ),
    'judged': Table(
        'clean',
        {
            'start': Row(f'pixels, {START:,} updates'),
            'on_longer': Row(f'pixels, {LONGER:,} more', 'start'),
            'ping_pong_longer': Row('ping-pong', 'start'),
            'judged': Row('temporal discriminator', 'start'),
            'judged_both': Row('temporal discriminator and ping-pong', 'start'),
        },
    ),
    'tape': Table(
        'tape',
        {
            'compact': Row(f'Compact, from {PUBLISHED}', PUBLISHED),
        },
    ),
}
VARIANTS = tuple(dict.fromkeys(name for table in TABLES.values() for name in table.rows))


def get_config(variant: str = 'start') -> ml_collections.ConfigDict:
    """Returns the config of a row; raises ValueError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    if variant in ('images', 'translational'):
        config = _images(variant)
    elif variant == 'compact':
        config = _compact()
    else:
        config = _clips(variant)
    config.data.validation_fraction = FRACTION
    config.log.update(every=100, samples=0)
    config.evaluation.every = config.checkpoint.every = 10**6
    return config


def _clips(variant: str) -> ml_collections.ConfigDict:
    judged, longer = variant.startswith('judged'), variant.endswith('longer')
    adversarial = judged or variant in ('adversarial', 'both')
    config = video.get_config('photos' if adversarial else 'recurrent')
    config.data.update(crop_size=SIZE, frames=FRAMES, validation_crops=8)
    config.train.update(steps=LONGER if judged or longer else FURTHER, remat=False)
    _further(config)
    if variant == 'start':
        config.train.steps = START
        config.optimizer.update(learning_rate=RATE, schedule='cosine', warmup_steps=20)
    if adversarial:
        config.loss.adversarial.weight = JUDGE_WEIGHT if judged else ADVERSARIAL
        config.loss.blocks.weight = BLOCKS
    if judged:
        config.discriminator_optimizer.learning_rate = JUDGE_RATE
    elif adversarial:
        config.discriminator.update(PUBLISHED_JUDGE)
    forth_and_back = variant.startswith('ping_pong') or variant.endswith('both')
    config.loss.ping_pong.weight = PING_PONG if forth_and_back else 0.0
    return config


def _further(config: ml_collections.ConfigDict) -> None:
    for name in ('optimizer', 'discriminator_optimizer'):
        if name in config:
            rate = {'learning_rate': FURTHER_RATE, 'schedule': 'constant', 'warmup_steps': 0}
            config[name].update(rate)


def _images(variant: str) -> ml_collections.ConfigDict:
    """ESRGAN's discriminator, of images alone; the losses see crops as large as clips have."""
    config = defaults('gan', model='frvsr', discriminator='discriminators', degradation='gaussian')
    config.model = video.get_config('recurrent').model
    config.discriminator.update(form='unet', features=8)
    config.data.update(crop_size=64, validation_crops=8)
    config.train.update(steps=FURTHER, batch_size=4 * FRAMES)
    _further(config)
    config.loss.criterion = 'l2'
    config.loss.pixel.weight, config.loss.adversarial.weight = 12.0, ADVERSARIAL
    config.loss.translational.crop_size = SIZE
    config.loss.translational.weight = TRANSLATIONAL if variant == 'translational' else 0.0
    return config


def _compact() -> ml_collections.ConfigDict:
    config = defaults('regression', model='srvgg', degradation='tape')
    config.model.update(features=64, num_convs=16)
    config.data.update(crop_size=64, validation_crops=8)
    config.optimizer.learning_rate = 2e-4
    config.train.update(steps=TAPE, batch_size=8)
    return config
