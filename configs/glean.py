"""GLEAN: images enlarged by a trained StyleGAN2, which stays as it is.

First a generator of the size of the images made (configs/stylegan2.py), then this:

  python -m sr_jax.main --config configs/glean.py     # crops of 64 pixels, from 16

Chan et al. 2021 (arXiv:2012.00739). Losses are those of the authors' program (mmagic,
configs/glean), squared differences, 4 times of [0, 1] what they are of [-1, 1], and a StyleGAN2's
discriminator, but for features, whose weights nobody can be asked to fetch for a first try. In
config.loss.perceptual theirs are weight=0.01, criterion='l2', network='vgg16' and
layers={'conv4_3': 1.0}, though VGG16 is given images in [-1, 1] there, without its usual mean. For
8 times, from 32 to 256 pixels, they take the defaults of the network, a rate of 1e-4 and 300,000
steps of 16.

Other weights than a run's are named in config.train.start_from: files by the names of rosinality,
mmagic, BasicSR or NVlabs. Size, latents and channels in config.model must be the generator's.

Expect 0.7 to 1.1 steps a second on two cores that do other work too. How good its images become
has not been measured; RESULTS.md has smaller ones.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos',)


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('gan', model='glean', discriminator='stylegan2_discriminator')
    channels = dict(size=64, channel_base=1024, channel_max=64)
    config.model.update(in_size=16, features=16, num_blocks=2, growth=8, **channels)
    config.model.update(latent_size=64, num_mapping=4)
    config.discriminator.update(channels)
    config.loss.criterion = 'l2'
    config.loss.pixel.weight = 4.0
    config.loss.adversarial.weight = 1e-2
    sources = {'generator': 'runs/stylegan2', 'discriminator': 'runs/stylegan2#discriminator'}
    config.train.update(steps=2000, start_from=str(sources))
    config.data.update(crop_size=64, rotations=False)
    return config
