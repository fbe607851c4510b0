"""ResNets that tell images apart: which photograph is a patch from, which digit is written?

  python -m sr_jax.main --config configs/classification.py             # patches of photographs
  python -m sr_jax.main --config configs/classification.py:switched    # some layers switched
  python -m sr_jax.main --config configs/classification.py:digits      # handwritten digits
  python -m sr_jax.main --config configs/classification.py:cifar10     # the usual recipe
  python -m sr_jax.main --config configs/classification.py:imagenet    # ResNet-50, likewise

The first three need no download and take minutes on two cores. `switched` has the 3 x 3
convolutions of the last two stages switched, as the article on switched convolutions (neonbjb,
2021) has the upper layers of its ResNet-50; from a trained network with
`--config.train.start_from=runs/classification`.

Expect, with seed 0, that of the validation patches 0.67 are told right (textures), of the digits
0.997. The variants cifar10 and imagenet have not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('textures', 'switched', 'digits', 'cifar10', 'imagenet')

UPPER = tuple(
    f'backbone/stage_{stage}_block_0/conv_{conv}' for stage in (2, 3) for conv in (0, 1)
)


def get_config(variant: str = 'textures') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('classification', model='resnet')
    config.model.update(depth=10, features=12, classes=0, stem='small')
    config.optimizer.update(name='sgd', learning_rate=0.1, weight_decay=5e-4, warmup_steps=50)
    config.checkpoint.best_metric = 'top_1'
    config.train.update(steps=500, batch_size=32)
    config.data.update(source='textures', crop_size=24, validation_crops=512)
    config.evaluation.update(every=250, batch_size=64)
    if variant == 'switched':
        config.model.switching.update(layers=UPPER, breadth=4)
    if variant == 'digits':
        config.data.update(source='digits', crop_size=8, flips=False, rotations=False)
    if variant in ('cifar10', 'imagenet'):
        _published(config, variant)
    return config


def _published(config: ml_collections.ConfigDict, variant: str) -> None:
    small = variant == 'cifar10'
    config.model.update(depth=18 if small else 50, features=64, classes=10 if small else 1000)
    config.model.stem = 'small' if small else 'large'
    config.optimizer.update(weight_decay=5e-4 if small else 1e-4, warmup_steps=2000)
    config.loss.label_smoothing = 0.1
    config.train.update(steps=78_000 if small else 450_000, batch_size=128 if small else 256)
    config.data.update(
        source='tfds:cifar10' if small else 'tfds:imagenet2012',
        crop_size=32 if small else 224,
        rotations=False,
        workers=8,
        validation_crops=10_000,
    )
    config.evaluation.update(every=5000, batch_size=128)
    config.checkpoint.every = config.log.samples_every = 5000
