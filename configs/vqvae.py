"""VQ-VAE-2, stage 1: an image of 256x256 as 32x32 top and 64x64 bottom codes, and back.

  python -m sr_jax.main --config configs/vqvae.py             # embedded photographs, 128 channels
  python -m sr_jax.main --config configs/vqvae.py:nearest     # the form that can be switched
  python -m sr_jax.main --config configs/vqvae.py:demo        # smaller and shorter: `make demo`
  python -m sr_jax.main --config configs/vqvae.py:imagenet    # the published set-up

Expect, as validation MSE of images in [0, 1] with seed 0: 0.0041 (photos), 0.0051 (nearest),
0.0050 (demo; 0.0051 on another machine); see RESULTS.md. The variant imagenet has not been run by
us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'nearest', 'demo', 'imagenet')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('vqvae', model='vqvae')
    config.model.switching.norm_start = 'first'
    config.optimizer.update(learning_rate=3e-4, schedule='constant', b2=0.999)
    config.train.steps = 2000
    config.data.update(crop_size=64, validation_crops=128)
    config.evaluation.update(every=250, protocol='rgb_crop0')
    config.checkpoint.every = config.log.samples_every = 250
    config.log.every = 10
    if variant in ('photos', 'nearest'):
        # Without revival nearly all codes die in the first steps of so short a run (RESULTS.md).
        config.model.revive_below = 0.2
    if variant == 'nearest':
        # DL-Art-School's form, of which configs/vqvae_switched.py switches convolutions.
        config.model.upsampling = 'nearest'
    if variant == 'demo':
        config.model.update(channels=64, codebook_size=256, codebook_dim=32, revive_below=0.5)
        config.train.steps = 1500
        config.checkpoint.every = config.log.samples_every = 500
        config.log.every = 50
    if variant == 'imagenet':
        _imagenet(config)
    return config


def _imagenet(config: ml_collections.ConfigDict) -> None:
    config.train.update(steps=560 * 1_281_167 // 128, batch_size=128)
    config.data.update(
        source='tfds:imagenet2012',
        validation_crops=5000,
        crop_size=256,
        rotations=False,
        workers=8,
        max_rejected=100,
    )
    config.evaluation.update(every=10_000, batch_size=64)
    config.checkpoint.every = config.log.samples_every = 10_000
    config.log.every = 100
