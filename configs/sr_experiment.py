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

VARIANTS = ('batch', 'rrdb', 'switched', 'gan')

MODELS = {
    'batch': dict(name='srresnet', scale=4, features=16, num_blocks=3),
    'rrdb': dict(name='rrdb', scale=4, features=16, num_blocks=2, growth=8),
    'switched': dict(
        name='switched_sr',
        scale=4,
        features=16,
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
    ),
}
MODELS['gan'] = MODELS['rrdb']


def get_config(variant: str = 'batch') -> ml_collections.ConfigDict:
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of sr_experiment; valid: {", ".join(VARIANTS)}')
    config = ml_collections.ConfigDict()
    config.task = 'regression'
    config.seed = 0
    config.dtype = 'float32'
    config.model = MODELS[variant]
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
        steps=250,
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
        validation_fraction=0.2,
        validation_crops=128,
        crop_size=64,
        flips=True,
        rotations=True,
        workers=0,
        cache_bytes=512 * 2**20,
        max_rejected=0,
    )
    config.evaluation = dict(every=1000, batch_size=32, protocol='y_matlab_crop4')
    config.checkpoint = dict(every=100_000, keep_last=9, keep_best=0, best_metric='mse')
    config.log = dict(every=20, samples_every=100_000, samples=0)
    if variant != 'batch':
        config.optimizer.learning_rate = 2e-3
        config.train.update(steps=3000, batch_size=8)
    if variant == 'gan':
        _against_a_discriminator(config)
    return config


def _against_a_discriminator(config: ml_collections.ConfigDict) -> None:
    """ESRGAN's losses of pixels and the discriminator; the former see 64 x 64 pixels as before,
    in the corner of crops of 96 x 96, of which the translational loss takes a second corner."""
    config.task = 'gan'
    config.discriminator = dict(
        name='discriminators', form='vgg', features=16, size=64, norm='batch'
    )
    config.loss = dict(
        criterion='l1',
        pixel=dict(weight=1.0, start=0, before=0.0),
        perceptual=dict(
            weight=0.0,
            start=0,
            before=0.0,
            network='vgg16',
            layers=dict(conv5_3=1.0),
            weights='',
            criterion='l1',
        ),
        adversarial=dict(
            weight=5e-3,
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
            weight=0.0, start=0, before=0.0, crop_size=64, criterion='l1', detach=False
        ),
        load_balancing=dict(weight=0.0, start=0, before=0.0),
    )
    config.optimizer.update(learning_rate=1e-4, schedule='constant', ema_decay=0.99)
    config.discriminator_optimizer = dict(config.optimizer, ema_decay=0.0)
    config.train.steps = 300
    config.data.crop_size = 96
