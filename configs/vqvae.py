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

VARIANTS = ('photos', 'nearest', 'demo', 'imagenet')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of vqvae; valid: {", ".join(VARIANTS)}')
    config = ml_collections.ConfigDict()
    config.task = 'vqvae'
    config.seed = 0
    config.dtype = 'float32'
    config.model = dict(
        name='vqvae',
        channels=128,
        num_res_blocks=2,
        res_channels=32,
        codebook_size=512,
        bottom_codebook_size=0,
        codebook_dim=64,
        upsampling='transposed',
        decay=0.99,
        revive_below=0.0,
        switching=dict(
            layers=(),
            breadth=8,
            network='lambda',
            dropout_rate=0.0,
            dropped='excluded',
            norm_size=256,
            norm_start='first',
            routing='hard',
            credit='advantage',
            deviation=0.0,
            start='convolution',
            implementation=None,
        ),
    )
    config.loss = dict(reconstruction_weight=1.0, commitment_weight=0.25, load_balancing_weight=0.0)
    config.optimizer = dict(
        name='adam',
        learning_rate=3e-4,
        schedule='constant',
        warmup_steps=0,
        milestones=(),
        decay_factor=0.5,
        b1=0.9,
        b2=0.999,
        eps=1e-8,
        weight_decay=0.0,
        clip_norm=0.0,
        ema_decay=0.0,
    )
    config.train = dict(
        steps=2000,
        batch_size=8,
        accumulation=1,
        effective_batch_size=0,
        memory_limit=0,
        remat=False,
        start_from='',
        fsdp=1,
    )
    config.data = dict(
        source='photos',
        validation_source='',
        validation_fraction=0.05,
        validation_crops=128,
        crop_size=64,
        flips=True,
        rotations=True,
        workers=0,
        cache_bytes=256 * 2**20,
        max_rejected=0,
    )
    config.evaluation = dict(every=250, batch_size=16, protocol='rgb_crop0')
    config.checkpoint = dict(every=250, keep_last=2, keep_best=1, best_metric='mse')
    config.log = dict(every=10, samples_every=250, samples=8)
    return globals()[f'_{variant}'](config)


def _photos(config):
    # Without revival nearly all codes die in the first steps of so short a run (RESULTS.md).
    config.model.revive_below = 0.2
    return config


def _nearest(config):
    # DL-Art-School's form, of which configs/vqvae_switched.py switches convolutions.
    config.model.upsampling = 'nearest'
    return _photos(config)


def _demo(config):
    config.model.update(channels=64, codebook_size=256, codebook_dim=32, revive_below=0.5)
    config.train.steps = 1500
    config.checkpoint.every = 500
    config.log.update(every=50, samples_every=500)
    return config


def _imagenet(config):
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
    config.checkpoint.every = 10_000
    config.log.update(every=100, samples_every=10_000)
    return config
