"""SRResNet: images enlarged four times, trained on the pixels' differences.

  python -m sr_jax.main --config configs/srresnet.py              # small, embedded photographs
  python -m sr_jax.main --config configs/srresnet.py:published    # BasicSR's MSRResNet on DIV2K

Ledig et al. 2017 (arXiv:1609.04802), in BasicSR's modified form. The small variant has 4 blocks of
32 features and trains within minutes on two CPU cores.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4: 29.8 dB and an
SSIM of 0.737, where bicubic enlargement has 28.9 dB and 0.706; see RESULTS.md. The variant
published has not been run by us; it wants DIV2K's images in a folder (config.data.source).
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'published')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('regression', model='srresnet')
    config.model.update(features=32, num_blocks=4)
    config.train.batch_size = 16
    if variant == 'published':
        config.model.update(features=64, num_blocks=16)
        config.optimizer.update(learning_rate=2e-4, ema_decay=0.999)
        config.train.steps = 1_000_000
        config.data.update(
            source='folder:data/DIV2K_train_HR',
            validation_source='folder:data/DIV2K_valid_HR',
            crop_size=128,
            workers=8,
            validation_crops=256,
        )
        config.evaluation.every = config.checkpoint.every = 5000
        config.log.update(every=100, samples_every=5000)
    return config
