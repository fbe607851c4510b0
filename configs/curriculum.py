"""The usual way to a network for photographs as they come: three runs, each from the one before.

  python -m sr_jax.main --config configs/curriculum.py:fidelity     # clean small images
  python -m sr_jax.main --config configs/curriculum.py:degraded     # blurred, noisy, compressed
  python -m sr_jax.main --config configs/curriculum.py:adversarial  # against a discriminator too

The first learns what an image's details look like, by the pixels' differences; the second to find
them in bad images, of which CutBlur shows it parts that are good ones; the third to draw them
rather than blur where it is unsure, at a lower rate, while colors and lightness are held. The order
is Real-ESRGAN's, Wang et al. 2021 (arXiv:2107.10833); CutBlur is Yoo et al. 2020
(arXiv:2004.00448). The network is a small RRDBNet; another one takes its place in all three. On
images of your own: --config.data.source=folder:photos.

Expect of the first, which is that of configs/rrdb.py, 29.5 dB and an SSIM of 0.732 on the
validation photographs, by the protocol y_matlab_crop4. The others are worse on clean small images;
the embedded photographs are too few for more than a try, and we have not run them to their ends.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('fidelity', 'degraded', 'adversarial')


def get_config(variant: str = 'fidelity') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    if variant == 'adversarial':
        networks = dict(model='rrdb', discriminator='discriminators')
        config = defaults('gan', **networks, degradation='second_order')
        _train_against_discriminator(config)
    else:
        degradation = 'bicubic' if variant == 'fidelity' else 'second_order'
        config = defaults('regression', model='rrdb', degradation=degradation)
        config.optimizer.learning_rate = 1e-3 if variant == 'fidelity' else 5e-4
        config.train.steps = 2000
    config.model.update(features=32, num_blocks=2, growth=16)
    if variant != 'fidelity':
        config.train.start_from = f'runs/curriculum_{VARIANTS[VARIANTS.index(variant) - 1]}'
        config.mixing.cutblur = 0.3
        config.optimizer.update(ema_decay=0.999, ema_warmup=10.0)
    return config


def _train_against_discriminator(config: ml_collections.ConfigDict) -> None:
    config.discriminator.update(form='unet', features=16)
    config.loss.criteria.update(weight=1.0, weights={'consistency': 0.5, 'artifacts': 1.0})
    config.loss.adversarial.weight = 0.05
    for optimizer in (config.optimizer, config.discriminator_optimizer):
        optimizer.update(learning_rate=1e-4, schedule='constant')
    config.train.steps = 1000
