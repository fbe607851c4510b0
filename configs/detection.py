"""Boxes around things: shapes pasted on photographs, and real sets.

  python -m sr_jax.main --config configs/detection.py             # small, shapes on photographs
  python -m sr_jax.main --config configs/detection.py:switched    # some layers switched
  python -m sr_jax.main --config configs/detection.py:coco        # ResNet-50, on COCO

The first two need no download and take minutes on two cores. Boxes are measured by pycocotools (the
extra `detection`). Real sets have images of many sizes: crops of one size are cut from them.

Expect, with seed 0 on the validation images of sprites, an average precision of 0.23, and of 0.40
at an overlap of 0.5. The variant coco has not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('sprites', 'switched', 'coco')

LAYERS = ('backbone/stage_2_block_0/conv_1', 'backbone/stage_3_block_0/conv_1')


def get_config(variant: str = 'sprites') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('detection', model='fcos')
    config.model.update(depth=10, features=12, classes=0, stem='small')
    config.model.update(head_features=24, num_convs=1, groups=8)
    config.optimizer.update(learning_rate=1e-3, b2=0.999, clip_norm=1.0, warmup_steps=50)
    config.checkpoint.best_metric = 'ap'
    config.train.update(steps=500, batch_size=8)
    config.data.update(source='sprites', crop_size=48, rotations=False, validation_crops=128)
    config.evaluation.update(every=250, batch_size=32)
    if variant == 'switched':
        config.model.switching.update(layers=LAYERS, breadth=4)
    if variant == 'coco':
        config.model.update(depth=50, features=64, classes=80, stem='large')
        config.model.update(head_features=256, num_convs=4, groups=32)
        config.optimizer.update(
            name='sgd', learning_rate=0.01, weight_decay=1e-4, schedule='multistep'
        )
        config.optimizer.update(milestones=(60_000, 80_000), decay_factor=0.1, warmup_steps=500)
        config.train.steps = 90_000
        config.data.update(
            source='tfds:coco/2017', crop_size=512, workers=8, max_rejected=100_000
        )
    return config
