"""GLEAN: images enlarged by a trained StyleGAN2, which stays as it is.

First a generator of the size of the images made (configs/stylegan2.py for `photos`), then this:

  python -m sr_jax.main --config configs/glean.py          # crops of 64, from 16
  python -m sr_jax.main --config configs/glean.py:cats     # the authors', 256 pixels from 32

Chan et al. 2021 (arXiv:2012.00739). `cats` has the numbers of the authors' program for their factor
of 8 (mmagic, configs/glean): squared differences, 4 times of [0, 1] what they are of [-1, 1], the
third convolution of VGG16's fourth size, and a StyleGAN2's discriminator. Theirs gives VGG16 images
in [-1, 1] without its usual mean. It wants images in a folder (config.data.source), and has not
been run by us.

Other weights than a run's are named in config.train.start_from: files by the names of rosinality,
mmagic, BasicSR or NVlabs. Size, latents and channels in config.model must be the generator's.

Expect 0.7 to 1.1 steps a second of `photos` on two cores that do other work too. How good its
images become has not been measured; RESULTS.md has smaller ones.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'cats')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises ValueError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('gan', model='glean', discriminator='stylegan2_discriminator')
    config.loss.criterion = 'l2'
    config.loss.pixel.weight = 4.0
    config.loss.adversarial.weight = 1e-2
    config.data.rotations = False
    if variant == 'photos':
        _photos(config)
    else:
        _cats(config)
    return config


def _start_from(generator: str, discriminator: str, config: ml_collections.ConfigDict) -> None:
    sources = {'generator': generator, 'discriminator': discriminator}
    config.train.start_from = str(sources)


def _photos(config: ml_collections.ConfigDict) -> None:
    config.model.update(in_size=16, size=64, features=16, num_blocks=2, growth=8)
    config.model.update(latent_size=64, num_mapping=4, channel_base=1024, channel_max=64)
    config.discriminator.update(size=64, channel_base=1024, channel_max=64)
    _start_from('runs/stylegan2', 'runs/stylegan2#discriminator', config)
    config.data.crop_size = 64
    config.train.steps = 2000


def _cats(config: ml_collections.ConfigDict) -> None:
    _start_from('weights/stylegan2-cat.pth', 'weights/stylegan2-cat-discriminator.pth', config)
    config.loss.perceptual.update(
        weight=1e-2, network='vgg16', weights='lpips-vgg16', criterion='l2'
    )
    config.loss.perceptual.layers = dict(conv4_3=1.0)
    for optimizer in (config.optimizer, config.discriminator_optimizer):
        optimizer.learning_rate = 1e-4
    config.train.update(steps=300_000, batch_size=16)
    config.data.update(source='folder:data/cats', crop_size=256, workers=8, validation_crops=256)
    config.evaluation.every = config.checkpoint.every = config.log.samples_every = 5000
    config.log.every = 100
