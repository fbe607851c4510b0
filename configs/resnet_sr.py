"""Super-resolution by a U-Net on a ResNet, whose encoder can start a classifier or a segmenter.

  python -m sr_jax.main --config configs/resnet_sr.py

It needs no download and takes a minute on two cores. Its images are those of
configs/classification.py, enlarged twice; no label is looked at. What comes after takes its
encoder:

  python -m sr_jax.main --config configs/classification.py --config.model.features=8 \\
      --config.train.start_from="{'backbone': 'runs/resnet_sr'}"

Expect, with seed 0 on the validation patches, by the protocol y_matlab_crop4, 38.7 dB and an SSIM
of 0.895. See RESULTS.md for what that is worth to a classifier.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('textures',)


def get_config(variant: str = 'textures') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('regression', model='resnet_sr')
    config.model.update(depth=10, features=8)
    config.optimizer.update(learning_rate=2e-3, b2=0.999, warmup_steps=50)
    config.checkpoint.best_metric = 'psnr'
    config.train.update(steps=250, batch_size=16)
    config.data.update(source='textures', crop_size=48, validation_crops=256)
    config.evaluation.update(every=250, batch_size=32)
    return config
