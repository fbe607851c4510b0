"""PixPro: what pixels are, learned without labels from views of images.

  python -m sr_jax.main --config configs/pixel_contrast.py              # small, on mosaics
  python -m sr_jax.main --config configs/pixel_contrast.py:published    # ResNet-50 on ImageNet

The small variant takes minutes on two cores. The published one has the authors' network, momentum,
power, and LARS with a batch of 1024 for 100 epochs. It has not been run by us.

Expect, with seed 0 on the validation mosaics, an agreement of 0.85: the mean cosine of pixels that
are near each other in two views. That says nothing yet of what the latents are good for.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('mosaics', 'published')


def get_config(variant: str = 'mosaics') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('pixel_contrast', model='pixpro')
    config.checkpoint.best_metric = 'agreement'
    if variant == 'published':
        config.optimizer.update(name='lars', learning_rate=4.0, nesterov=False)
        config.optimizer.update(weight_decay=1e-5, warmup_steps=6250)
        config.train.update(steps=125_000, batch_size=1024)
        config.data.update(source='tfds:imagenet2012', crop_size=224, rotations=False, workers=8)
        config.evaluation.every = config.checkpoint.every = 5000
        return config
    config.model.update(depth=10, features=8, stem='small', hidden=64, latents=32)
    config.optimizer.update(learning_rate=2e-3, weight_decay=1e-5, warmup_steps=50)
    config.train.update(steps=500, batch_size=32)
    config.data.update(source='mosaics', crop_size=32, validation_crops=128)
    config.evaluation.update(every=250, batch_size=32)
    return config
