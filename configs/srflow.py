"""SRFlow: a flow that draws many enlarged images of one small image, trained by likelihood.

  python -m sr_jax.main --config configs/srflow.py:encoder --workdir runs/encoder
  python -m sr_jax.main --config configs/srflow.py --config.train.start_from=runs/encoder
  python -m sr_jax.main --config configs/srflow.py:x4_encoder  # published: an RRDBNet, then
  python -m sr_jax.main --config configs/srflow.py:x4          # the flow, from that run
  python -m sr_jax.main --config configs/srflow.py:x8_encoder  # published: faces of CelebA
  python -m sr_jax.main --config configs/srflow.py:x8

Lugmayr et al. 2020 (arXiv:2006.14200). Each variant begins with a trained encoder, the one before
it, by `config.train.start_from`; without, it runs from scratch. The small variant enlarges the
embedded photographs four times, with an encoder that rests all the time.

Variants x4 and x8 have the sizes, rates and schedules of the authors' options (andreas128/SRFlow):
the encoder rests for the first half, as paper and options say (the released code trains it from the
start), and true images are given the options' noise of 32 levels (which the released code leaves
out). They have not been run by us; they want images in folders (config.data.source).

Expect, for the small variant with seed 0, 3.78 bits per dimension on the validation photographs,
and 27.9 dB by rgb_crop4 of samples of temperature 0.8; with temperature 1 some explode: see
RESULTS.md.
"""

import ml_collections

VARIANTS = ('photos', 'encoder', 'x4_encoder', 'x4', 'x8_encoder', 'x8')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant.

    Raises:
      ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'no variant {variant!r} of srflow; valid: {", ".join(VARIANTS)}')
    config = _photos()
    if variant.startswith(('x4', 'x8')):
        _publish(config, int(variant[1]))
    if variant.endswith('encoder'):
        _encoder(config)
    return config


def _photos() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.task = 'flow'
    config.seed = 0
    config.dtype = 'float32'
    config.model = dict(
        name='srflow',
        scale=4,
        features=16,
        num_blocks=2,
        growth=8,
        stacked=2,
        steps=4,
        hidden=16,
        transitions=2,
        mixing='plain',
        middle=1,
        min_scale=1e-4,
        max_noise=0.0,
        memory='keep',
    )
    config.degradation = dict(name='bicubic', rounded=True)
    config.loss = dict(quantization=256, encoder_from=-1)
    config.sampling = dict(temperature=0.8)
    config.optimizer = dict(
        name='adam',
        learning_rate=5e-4,
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
        steps=5000,
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
        crop_size=32,
        flips=True,
        rotations=True,
        workers=0,
        cache_bytes=256 * 2**20,
        max_rejected=0,
    )
    config.evaluation = dict(every=500, batch_size=16, protocol='rgb_crop4')
    config.checkpoint = dict(every=500, keep_last=2, keep_best=1, best_metric='bits_per_dimension')
    config.log = dict(every=20, samples_every=500, samples=8)
    return config


def _publish(config: ml_collections.ConfigDict, scale: int) -> None:
    """Sizes, rates and schedules of the authors' options."""
    config.model.update(scale=scale, features=64, growth=32, stacked=4, steps=16, hidden=64)
    config.loss.update(quantization=32, encoder_from=100_000)
    config.sampling.temperature = 0.9
    config.optimizer.update(schedule='multistep', milestones=(100_000, 150_000, 180_000, 190_000))
    config.train.update(steps=200_000)
    config.data.update(crop_size=160, rotations=False, workers=8, validation_crops=256)
    config.evaluation.update(every=5000)
    config.checkpoint.update(every=5000)
    config.log.update(every=100, samples_every=5000)
    if scale == 4:
        config.model.num_blocks = 23
        config.optimizer.learning_rate = 2.5e-4
        config.train.batch_size = 12
        config.data.source = 'folder:data/DF2K'
        config.data.validation_source = 'folder:data/DIV2K_valid_HR'
    else:
        config.model.num_blocks = 8
        config.optimizer.learning_rate = 5e-4
        config.train.batch_size = 16
        config.data.source = 'folder:data/CelebA'


def _encoder(config: ml_collections.ConfigDict) -> None:
    """What an RRDBNet learns of pixels before it serves as an encoder: see configs/rrdb.py."""
    config.task = 'regression'
    kept = {key: config.model[key] for key in ('scale', 'features', 'num_blocks', 'growth')}
    config.model = dict(name='rrdb', skip_from_blocks=True, **kept)
    config.loss = dict(criterion='l1', load_balancing_weight=0.0)
    del config.sampling
    config.checkpoint.best_metric = 'mse'
    if config.data.source == 'photos':
        config.optimizer.update(learning_rate=1e-3, b2=0.99)
        config.train.update(steps=2000)
        config.data.update(crop_size=96)
    else:
        config.optimizer.update(learning_rate=2e-4, milestones=(200_000, 400_000, 600_000, 800_000))
        config.train.update(steps=1_000_000, batch_size=16)
        config.data.update(rotations=True)
