"""StyleGAN2: images drawn from latents, trained against a discriminator.

  python -m sr_jax.main --config configs/stylegan2.py             # crops of 64 of photographs
  python -m sr_jax.main --config configs/stylegan2.py:ffhq256     # FFHQ at 256 pixels

Karras et al. 2019 (arXiv:1912.04958). `ffhq256` is configuration F with half the channels of the
finer resolutions, as NVlabs trained it at 256 pixels, on images in a folder
(config.data.source); it has not been run by us. `photos` is a small one, with augmentation (ADA,
arXiv:2006.06676), since its photographs are few; for a thousand images of one's own it is
--config.augmentation.target=0.6. Large batches are one flag:
--config.train.effective_batch_size=64.

Expect 0.28 s a step of `photos` on two CPU cores, without augmentation (BENCHMARKS.md). How good
its images become after its 2,000 steps has not been measured yet.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'ffhq256')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('stylegan', model='stylegan2', discriminator='stylegan2_discriminator')
    config.data.rotations = False
    config.checkpoint.best_metric = 'frechet'
    if variant == 'photos':
        _photos(config)
    else:
        _ffhq256(config)
    _set_rates(config)
    return config


def _set_rates(config: ml_collections.ConfigDict) -> None:
    """Sets rates and decays for regularizers that are updates of their own, once in k updates."""
    for optimizer, every in (
        (config.optimizer, config.loss.path_every),
        (config.discriminator_optimizer, config.loss.r1_every),
    ):
        share = every / (every + 1)
        optimizer.update(schedule='constant', b1=0.0, b2=0.99**share)
        optimizer.learning_rate = 0.002 * share


def _photos(config: ml_collections.ConfigDict) -> None:
    config.model.update(size=64, latent_size=64, num_mapping=4, channel_base=1024, channel_max=64)
    config.discriminator.update(size=64, channel_base=1024, channel_max=64)
    config.loss.r1 = 1.0
    config.average.images = 2000
    config.augmentation.update(target=0.6, images=20_000)
    config.train.update(steps=2000, batch_size=8)
    config.data.update(crop_size=64, validation_crops=128)
    config.evaluation.every = config.checkpoint.every = config.log.samples_every = 500
    config.log.every = 20


def _ffhq256(config: ml_collections.ConfigDict) -> None:
    for network in (config.model, config.discriminator):
        network.update(size=256, channel_base=16384)
    config.loss.r1 = 1.0
    config.average.images = 20_000
    config.train.update(steps=390_000, batch_size=64)
    config.data.update(
        source='folder:data/ffhq256', crop_size=256, workers=8, validation_crops=5000
    )
    config.features.weights = 'lpips-vgg16'
    config.evaluation.update(every=10_000, batch_size=32)
    config.checkpoint.every = config.log.samples_every = 10_000
    config.log.every = 100
