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
VGG19, and a U-Net discriminator with spectral norm that judges every pixel and sees the unsharpened
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

VARIANTS = ('photos', 'published', 'phases', 'real')

# Real-ESRGAN's second-order degradation, as in configs/rrdb.py; see `sr_jax.degradations.settings`.
FIRST = dict(
    blur_prob=1.0,
    sinc_prob=0.1,
    kernel_probs=(0.45, 0.25, 0.12, 0.03, 0.12, 0.03),
    blur_sigma=(0.2, 3.0),
    generalized_beta=(0.5, 4.0),
    plateau_beta=(1.0, 2.0),
    resize_probs=(0.2, 0.7, 0.1),
    resize_range=(0.15, 1.5),
    gaussian_prob=0.5,
    gaussian_sigma=(1.0, 30.0),
    poisson_scale=(0.05, 3.0),
    gray_prob=0.4,
    jpeg_quality=(30, 95),
)
SECOND = FIRST | dict(
    blur_prob=0.8,
    blur_sigma=(0.2, 1.5),
    resize_probs=(0.3, 0.4, 0.3),
    resize_range=(0.3, 1.2),
    gaussian_sigma=(1.0, 25.0),
    poisson_scale=(0.05, 2.5),
)
SECOND_ORDER = dict(
    name='second_order',
    first=FIRST,
    second=SECOND,
    kernel_sizes=(7, 21),
    final_sinc_prob=0.8,
    sharpened=True,
)


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of esrgan; valid: {", ".join(VARIANTS)}')
    config = ml_collections.ConfigDict()
    config.task = 'gan'
    config.seed = 0
    config.dtype = 'float32'
    config.model = dict(name='rrdb', scale=4, features=32, num_blocks=2, growth=16)
    config.discriminator = dict(
        name='discriminators', form='vgg', features=16, size=96, norm='batch'
    )
    config.degradation = dict(name='bicubic', rounded=True)
    config.loss = dict(
        criterion='l1',
        pixel=dict(weight=1.0, start=0, before=0.0),
        perceptual=dict(
            weight=0.0,
            start=0,
            before=0.0,
            network='vgg19',
            layers=dict(conv5_4=1.0),
            weights='',
            criterion='l1',
        ),
        adversarial=dict(
            weight=3e-3,
            start=0,
            before=0.0,
            kind='vanilla',
            relativistic=True,
            noise=0.0,
            gradient_penalty=0.0,
            r1=0.0,
            r1_every=16,
        ),
        translational=dict(
            weight=0.0, start=0, before=0.0, crop_size=0, criterion='l1', detach=False
        ),
        load_balancing=dict(weight=0.0, start=0, before=0.0),
    )
    config.optimizer = dict(
        name='adam',
        learning_rate=1e-4,
        schedule='constant',
        warmup_steps=0,
        milestones=(),
        decay_factor=0.5,
        b1=0.9,
        b2=0.99,
        eps=1e-8,
        weight_decay=0.0,
        clip_norm=0.0,
        ema_decay=0.99,
    )
    config.discriminator_optimizer = dict(config.optimizer, ema_decay=0.0)
    config.train = dict(
        steps=400,
        batch_size=8,
        accumulation=1,
        effective_batch_size=0,
        memory_limit=0,
        remat=False,
        start_from='runs/rrdb',
        fsdp=1,
    )
    config.data = dict(
        source='photos',
        validation_source='',
        validation_fraction=0.05,
        validation_crops=64,
        crop_size=96,
        flips=True,
        rotations=True,
        workers=0,
        cache_bytes=256 * 2**20,
        max_rejected=0,
    )
    config.evaluation = dict(every=200, batch_size=16, protocol='y_matlab_crop4')
    config.checkpoint = dict(every=200, keep_last=2, keep_best=1, best_metric='mse')
    config.log = dict(every=20, samples_every=200, samples=8)
    if variant != 'photos':
        _published(config)
    if variant == 'phases':
        _phases(config)
    if variant == 'real':
        _real(config)
    return config


def _published(config: ml_collections.ConfigDict) -> None:
    config.model.update(features=64, num_blocks=23, growth=32)
    config.discriminator.update(features=64, size=128)
    config.loss.pixel.weight = 1e-2
    config.loss.perceptual.update(weight=1.0, weights='weights/vgg19.safetensors')
    config.loss.adversarial.weight = 5e-3
    rates = dict(schedule='multistep', milestones=(50_000, 100_000, 200_000, 300_000))
    config.optimizer.update(rates, ema_decay=0.999)
    config.discriminator_optimizer.update(rates)
    config.train.update(steps=400_000, batch_size=16, start_from='runs/rrdb_published')
    config.data.update(
        source='folder:data/DIV2K_train_HR',
        validation_source='folder:data/DIV2K_valid_HR',
        crop_size=128,
        workers=8,
        validation_crops=256,
    )
    config.evaluation.update(every=5000)
    config.checkpoint.update(every=5000)
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
    config.discriminator.update(form='unet')
    config.degradation = SECOND_ORDER
    config.loss.pixel.weight = 1.0
    config.loss.perceptual.layers = dict(
        conv1_2=0.1, conv2_2=0.1, conv3_4=1.0, conv4_4=1.0, conv5_4=1.0
    )
    config.loss.adversarial.update(weight=0.1, relativistic=False)
    rates = dict(schedule='constant', milestones=())
    config.optimizer.update(rates)
    config.discriminator_optimizer.update(rates)
    config.train.update(effective_batch_size=48, start_from='runs/rrdb_real')
    config.data.update(source='folder:data/DF2K_OST', crop_size=256, rotations=False)
