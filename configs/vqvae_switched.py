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
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of vqvae_switched; valid: {", ".join(VARIANTS)}')
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
        upsampling='nearest',
        decay=0.99,
        revive_below=0.2,
        switching=dict(
            layers=ENCODER + DECODER,
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
        learning_rate=1e-4,
        schedule='cosine',
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
        steps=1000,
        batch_size=8,
        accumulation=1,
        effective_batch_size=0,
        memory_limit=0,
        remat=False,
        start_from='runs/vqvae_nearest',
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
