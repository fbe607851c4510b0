"""The class of each pixel: mosaics of photographs, and real sets.

  python -m sr_jax.main --config configs/segmentation.py             # a U-Net on mosaics
  python -m sr_jax.main --config configs/segmentation.py:switched    # its large layers switched
  python -m sr_jax.main --config configs/segmentation.py:deeplab     # DeepLabV3 on mosaics
  python -m sr_jax.main --config configs/segmentation.py:pets        # Oxford-IIIT Pet

All but the last need no download and take minutes on two cores. `switched` has convolutions of the
full resolution switched, as the article on switched convolutions (neonbjb, 2021) has in its
segmenter; from a trained network with `--config.train.start_from=runs/segmentation`.

Expect, with seed 0 on the validation mosaics, a mean IoU of 0.46, and that 0.63 of the pixels are
right (mosaics). The variant pets has not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('mosaics', 'switched', 'deeplab', 'pets')

LARGE = (
    'backbone/stage_0_block_0/conv_0',
    'backbone/stage_0_block_0/conv_1',
    'decoder_1/conv_0',
    'decoder_1/conv_1',
)


def get_config(variant: str = 'mosaics') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('segmentation', model='deeplab' if variant == 'deeplab' else 'unet')
    config.model.update(depth=10, features=8, classes=0, stem='small')
    config.optimizer.update(learning_rate=2e-3, b2=0.999, weight_decay=1e-4, warmup_steps=50)
    config.checkpoint.best_metric = 'mean_iou'
    config.train.update(steps=500, batch_size=16)
    config.data.update(source='mosaics', crop_size=32, validation_crops=256)
    config.evaluation.update(every=250, batch_size=32)
    if variant == 'switched':
        config.model.switching.update(layers=LARGE, breadth=4)
    if variant == 'deeplab':
        config.model.update(head_features=32, dilations=(3, 6, 9), dropout_rate=0.1)
    if variant == 'pets':
        config.model.update(depth=34, features=64, classes=4, stem='large')
        config.optimizer.schedule = 'polynomial'
        config.train.steps = 20_000
        config.data.update(
            source='tfds:oxford_iiit_pet', crop_size=192, rotations=False, max_rejected=400
        )
    return config
