"""The articles' experiments on super-resolution (neonbjb, 2021), small enough for two cores.

Batches of 8, 16 and 64 crops; the 5-layer network of switched convolutions against RRDBNet; the
translational loss, from a generator that has been trained against a discriminator without it:

  python -m sr_jax.main --config configs/sr_experiment.py --config.train.batch_size=64
  python -m sr_jax.main --config configs/sr_experiment.py:rrdb --workdir runs/rrdb
  python -m sr_jax.main --config configs/sr_experiment.py:switched
  python -m sr_jax.main --config configs/sr_experiment.py:gan --config.train.start_from=runs/rrdb

each with --config.data.source=folder:/path/to/photos. All rows of the tables in RESULTS.md, with
three seeds, are

  python benchmarks/sr_experiment.py --source folder:/path/to/photos

Expect, with seed 0 on 74 photographs, a validation MSE of 0.0035 of `rrdb`, and the tables in
RESULTS.md.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('batch', 'rrdb', 'switched', 'gan')


def get_config(variant: str = 'batch') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    if variant == 'gan':
        config = _against_a_discriminator()
    else:
        network = {'batch': 'srresnet', 'rrdb': 'rrdb', 'switched': 'switched_sr'}[variant]
        config = defaults('regression', model=network)
        config.optimizer.learning_rate = 1e-3 if variant == 'batch' else 2e-3
        config.train.steps = 250 if variant == 'batch' else 3000
        config.data.crop_size = 64
    config.model.features = 16
    if variant == 'batch':
        config.model.num_blocks = 3
        config.train.batch_size = 16
    elif variant != 'switched':
        config.model.update(num_blocks=2, growth=8)
    config.data.update(validation_fraction=0.2, validation_crops=128, cache_bytes=512 * 2**20)
    config.evaluation.update(every=1000, batch_size=32)
    config.checkpoint.update(every=100_000, keep_last=9, keep_best=0)
    config.log.update(samples_every=100_000, samples=0)
    return config


def _against_a_discriminator() -> ml_collections.ConfigDict:
    """ESRGAN's losses of pixels and the discriminator; the former see 64 x 64 pixels as before,
    in the corner of crops of 96 x 96, of which the translational loss takes a second corner."""
    config = defaults('gan', model='rrdb', discriminator='discriminators')
    config.discriminator.update(features=16, size=64)
    config.loss.perceptual.update(network='vgg16')
    config.loss.perceptual.layers = dict(conv5_3=1.0)
    config.loss.adversarial.update(weight=5e-3, relativistic=True)
    config.loss.translational.crop_size = 64
    for optimizer in (config.optimizer, config.discriminator_optimizer):
        optimizer.update(learning_rate=1e-4, schedule='constant')
    config.optimizer.ema_decay = 0.99
    config.train.steps = 300
    return config
