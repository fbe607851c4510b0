"""ESRGAN: RRDBNet trained against a discriminator, for texture instead of the least error.

First the same network on the pixels (configs/rrdb.py, or for `published` and `real` its variant of
that name, whose run is then runs/rrdb_published or runs/rrdb_real), then this:

  python -m sr_jax.main --config configs/esrgan.py              # small, embedded photographs
  python -m sr_jax.main --config configs/esrgan.py:published    # BasicSR's ESRGAN on DIV2K
  python -m sr_jax.main --config configs/esrgan.py:phases       # DL-Art-School's single run
  python -m sr_jax.main --config configs/esrgan.py:real         # Real-ESRGAN on DF2K and OST

Wang et al. 2018 (arXiv:1809.00219), as trained in BasicSR; `phases` (neonbjb, 2021) starts from
nothing: pixels, from step 80,000 on features and translational consistency, from 100,000 on the
discriminator, with group norm, noise and a gradient penalty. `real` is the second phase of
Real-ESRGAN, Wang et al. 2021 (arXiv:2107.10833), with the numbers of its published options:
images degraded in the second order, sharpened targets for pixels and features, five layers of
VGG19, and a U-Net discriminator with spectral norm that rates every pixel and sees the unsharpened
images. All three want images in a folder (config.data.source) and torchvision's VGG19
(config.loss.perceptual.weights). Large batches are one flag:
--config.train.effective_batch_size=128; a relativistic loss compares within a microbatch.

The variant `photos` has no perceptual loss, whose weights nobody can be asked to fetch for a first
try: the pixels hold the colours, and a small discriminator sharpens edges. On eight photographs it
soon knows them by heart, so it has little to teach, and the run is short.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4: 29.0 dB and an
SSIM of 0.725, where its start has 29.5 dB and 0.732, and bicubic enlargement 28.9 dB and 0.706:
the least error is not the aim here. See RESULTS.md. The other variants have not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'published', 'phases', 'real')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    degradation = 'second_order' if variant == 'real' else 'bicubic'
    networks = dict(model='rrdb', discriminator='discriminators')
    config = defaults('gan', **networks, degradation=degradation)
    config.loss.adversarial.relativistic = True
    for optimizer in (config.optimizer, config.discriminator_optimizer):
        optimizer.update(learning_rate=1e-4, schedule='constant')
    if variant == 'photos':
        _photos(config)
    else:
        _published(config)
    if variant == 'phases':
        _phases(config)
    if variant == 'real':
        _real(config)
    return config


def _photos(config: ml_collections.ConfigDict) -> None:
    config.model.update(features=32, num_blocks=2, growth=16)
    config.discriminator.update(features=16, size=96)
    config.loss.adversarial.weight = 3e-3
    config.optimizer.ema_decay = 0.99
    config.train.update(steps=400, start_from='runs/rrdb')
    config.evaluation.every = config.checkpoint.every = config.log.samples_every = 200


def _published(config: ml_collections.ConfigDict) -> None:
    config.loss.pixel.weight = 1e-2
    config.loss.perceptual.update(weight=1.0, weights='weights/vgg19.safetensors')
    config.loss.adversarial.weight = 5e-3
    for optimizer in (config.optimizer, config.discriminator_optimizer):
        optimizer.update(schedule='multistep', milestones=(50_000, 100_000, 200_000, 300_000))
    config.optimizer.ema_decay = 0.999
    config.train.update(steps=400_000, batch_size=16, start_from='runs/rrdb_published')
    config.data.update(
        source='folder:data/DIV2K_train_HR',
        validation_source='folder:data/DIV2K_valid_HR',
        crop_size=128,
        workers=8,
        validation_crops=256,
    )
    config.evaluation.every = config.checkpoint.every = 5000
    config.log.update(every=100, samples_every=5000)


def _phases(config: ml_collections.ConfigDict) -> None:
    config.discriminator.update(size=96, norm='group')
    config.loss.pixel.weight = 0.05
    config.loss.perceptual.start = 80_000
    config.loss.translational.update(weight=2.0, start=80_000, crop_size=96)
    config.loss.adversarial.update(
        weight=0.02, start=100_000, relativistic=False, noise=0.004, gradient_penalty=10.0
    )
    rates = dict(learning_rate=2e-4, milestones=(140_000, 180_000, 200_000, 240_000))
    config.optimizer.update(rates)
    config.discriminator_optimizer.update(rates)
    config.train.update(steps=500_000, start_from='')


def _real(config: ml_collections.ConfigDict) -> None:
    config.discriminator.form = 'unet'
    config.loss.pixel.weight = 1.0
    config.loss.perceptual.layers = dict(
        conv1_2=0.1, conv2_2=0.1, conv3_4=1.0, conv4_4=1.0, conv5_4=1.0
    )
    config.loss.adversarial.update(weight=0.1, relativistic=False)
    for optimizer in (config.optimizer, config.discriminator_optimizer):
        optimizer.update(schedule='constant', milestones=())
    config.train.update(effective_batch_size=48, start_from='runs/rrdb_real')
    config.data.update(source='folder:data/DF2K_OST', crop_size=256, rotations=False)
