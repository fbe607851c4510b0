"""Super-resolution by five switched convolutions, against RRDBNet's 23 blocks.

  python -m sr_jax.main --config configs/switched_sr.py              # small, embedded photographs
  python -m sr_jax.main --config configs/switched_sr.py:published    # 64 features, on DIV2K

The article on switched convolutions (neonbjb, 2021) found a switched network of 5 layers and
breadth 8 competitive with RRDBNet of 23 blocks. It says no more of it: what the layers are is our
reading (`sr_jax/models/switched_sr.py`), and so are the selectors, those of the article's VQ-VAE.
Both variants are trained from scratch, though the article advises stages: a dense network first
(--config.model.switching.layers="()" --workdir runs/dense), then this one with
--config.train.start_from=runs/dense. Its advice of large batches is one flag:
--config.train.effective_batch_size=128.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4, 28.3 dB and an
SSIM of 0.705; bicubic enlargement has 28.9 dB and 0.706: from scratch and in so short a run it does
not get there (with `--config.model.switching.credit=output` 27.9 dB and 0.699).
See RESULTS.md. The variant published has not been run by us.
"""

import ml_collections

VARIANTS = ('photos', 'published')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of switched_sr; valid: {", ".join(VARIANTS)}')
    config = ml_collections.ConfigDict()
    config.task = 'regression'
    config.seed = 0
    config.dtype = 'float32'
    config.model = dict(
        name='switched_sr',
        scale=4,
        features=32,
        num_layers=5,
        switching=dict(
            layers=tuple(f'layer_{i}/conv' for i in range(5)),
            breadth=8,
            network='lambda',
            dropout_rate=0.0,
            dropped='excluded',
            norm_size=256,
            norm_start='full',
            routing='hard',
            credit='advantage',
            deviation=0.0,
            start='convolution',
        ),
    )
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
        config.model.update(features=64)
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
