"""VQ-VAE-2, stage 1, with switched convolutions: the second stage of a dense network's training.

First the dense network, in the form with nearest-neighbour upsampling, then this one:

  python -m sr_jax.main --config configs/vqvae.py:nearest --workdir runs/vqvae_nearest
  python -m sr_jax.main --config configs/vqvae_switched.py           # 4 + 4 convolutions
  python -m sr_jax.main --config configs/vqvae_switched.py:original   # the 9 of DL-Art-School

Breadth 8 and a selector of a lambda layer and a 1 x 1 convolution, as in the article on switched
convolutions (neonbjb, 2021). It does not name its 4 convolutions in encoder and decoder: these are
our reading. `original` follows the code: a 1 x 1 convolution selects, kernels are dropped at a
rate of 0.4 and may still win. `config.train.start_from` is the dense run.

Expect, as validation MSE of images in [0, 1] with seed 0: 0.0040 (article), 1 to 2% more than the
dense network trained for as long at the same rates; see RESULTS.md, also for what a higher rate
does. `original` has not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('article', 'original')

ENCODER = (
    'encoder_bottom/down_1',
    'encoder_bottom/conv',
    'encoder_top/down_0',
    'encoder_top/conv',
)
DECODER = ('decoder_top/conv', 'decoder_top/up_0/conv', 'decoder/conv', 'decoder/up_0/conv')
ORIGINAL = (
    'encoder_bottom/down_1',
    'encoder_bottom/conv',
    'encoder_top/conv',
    'decoder_top/conv',
    'decoder_top/up_0/conv',
    'upsample_top/conv',
    'decoder/conv',
    'decoder/up_0/conv',
    'decoder/up_1/conv',
)


def get_config(variant: str = 'article') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('vqvae', model='vqvae')
    config.model.update(upsampling='nearest', revive_below=0.2)
    config.model.switching.update(layers=ENCODER + DECODER, norm_start='first')
    config.optimizer.update(learning_rate=1e-4, b2=0.999)
    config.train.start_from = 'runs/vqvae_nearest'
    config.data.update(crop_size=64, validation_crops=128)
    config.evaluation.update(every=250, protocol='rgb_crop0')
    config.checkpoint.every = config.log.samples_every = 250
    config.log.every = 10
    if variant == 'original':
        config.model.switching.update(
            layers=ORIGINAL,
            network='standard',
            dropout_rate=0.4,
            dropped='zero',
            norm_start='full',
            credit='output',
            start='published',
        )
    return config
