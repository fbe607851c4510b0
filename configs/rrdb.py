"""RRDBNet, ESRGAN's network: images enlarged four times, trained on the pixels' differences.

  python -m sr_jax.main --config configs/rrdb.py              # small, embedded photographs
  python -m sr_jax.main --config configs/rrdb.py:published    # ESRGAN's first phase on DIV2K
  python -m sr_jax.main --config configs/rrdb.py:real         # Real-ESRNet on DF2K and OST

Wang et al. 2018 (arXiv:1809.00219): the PSNR-oriented network with which ESRGAN begins. The small
variant has 2 blocks of 32 features and trains within minutes on two CPU cores.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4: 29.5 dB and an
SSIM of 0.732, where bicubic enlargement has 28.9 dB and 0.706; see RESULTS.md. The variants
published and real have not been run by us; they want images in folders (config.data.source).

Variant real: Wang et al. 2021 (arXiv:2107.10833), the first phase of Real-ESRGAN, with the numbers
of its published options. That run began with ESRGAN's trained network: `config.train.start_from`.
"""

import ml_collections

VARIANTS = ('photos', 'published', 'real')

# Real-ESRGAN's second-order degradation; see `sr_jax.degradations.settings` for what each means.
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
        raise ValueError(f'no variant {variant!r} of rrdb; valid: {", ".join(VARIANTS)}')
    config = ml_collections.ConfigDict()
    config.task = 'regression'
    config.seed = 0
    config.dtype = 'float32'
    config.model = dict(name='rrdb', scale=4, features=32, num_blocks=2, growth=16)
    config.degradation = dict(name='bicubic', rounded=True)
    config.loss = dict(criterion='l1', load_balancing_weight=0.0)
    config.optimizer = dict(
        name='adam',
        learning_rate=1e-3,
        schedule='cosine',
        warmup_steps=0,
        milestones=(),
        decay_factor=0.5,
        b1=0.9,
        b2=0.99,
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
        validation_crops=64,
        crop_size=96,
        flips=True,
        rotations=True,
        workers=0,
        cache_bytes=256 * 2**20,
        max_rejected=0,
    )
    config.evaluation = dict(every=500, batch_size=16, protocol='y_matlab_crop4')
    config.checkpoint = dict(every=500, keep_last=2, keep_best=1, best_metric='mse')
    config.log = dict(every=20, samples_every=500, samples=8)
    if variant == 'photos':
        return config
    config.model.update(features=64, num_blocks=23, growth=32)
    config.optimizer.update(learning_rate=2e-4)
    config.train.update(steps=1_000_000)
    config.data.update(workers=8, validation_crops=256)
    config.evaluation.update(every=5000)
    config.checkpoint.update(every=5000)
    config.log.update(every=100, samples_every=5000)
    if variant == 'published':
        config.optimizer.update(
            schedule='multistep',
            milestones=(200_000, 400_000, 600_000, 800_000),
            b2=0.999,
        )
        config.train.update(batch_size=16)
        config.data.update(
            source='folder:data/DIV2K_train_HR',
            validation_source='folder:data/DIV2K_valid_HR',
            crop_size=128,
        )
    if variant == 'real':
        config.degradation = SECOND_ORDER
        config.optimizer.update(schedule='constant', ema_decay=0.999)
        config.train.update(effective_batch_size=48)
        config.data.update(
            source='folder:data/DF2K_OST',
            validation_source='folder:data/DIV2K_valid_HR',
            crop_size=256,
            rotations=False,
        )
    return config
