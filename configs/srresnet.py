"""SRResNet: images enlarged four times, trained on the pixels' differences.

  python -m sr_jax.main --config configs/srresnet.py              # small, embedded photographs
  python -m sr_jax.main --config configs/srresnet.py:published    # BasicSR's MSRResNet on DIV2K

Ledig et al. 2017 (arXiv:1609.04802), in BasicSR's modified form. The small variant has 4 blocks of
32 features and trains within minutes on two CPU cores.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4: 29.8 dB and an
SSIM of 0.737, where bicubic enlargement has 28.9 dB and 0.706; see RESULTS.md. The variant
published has not been run by us; it wants DIV2K's images in a folder (config.data.source).
"""

import ml_collections

VARIANTS = ('photos', 'published')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of srresnet; valid: {", ".join(VARIANTS)}')
    config = ml_collections.ConfigDict()
    config.task = 'regression'
    config.seed = 0
    config.dtype = 'float32'
    config.model = dict(name='srresnet', scale=4, features=32, num_blocks=4)
    config.degradation = dict(name='bicubic', rounded=True)
    config.loss = dict(criterion='l1', load_balancing_weight=0.0)
    config.optimizer = dict(
        name='adam',
        learning_rate=5e-4,
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
        steps=1000,
        batch_size=16,
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
    if variant == 'published':
        config.model.update(features=64, num_blocks=16)
        config.optimizer.update(learning_rate=2e-4, ema_decay=0.999)
        config.train.update(steps=1_000_000)
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
    return config
