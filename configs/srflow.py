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

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'encoder', 'x4_encoder', 'x4', 'x8_encoder', 'x8')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    scale = 8 if variant.startswith('x8') else 4
    published, encoder = variant.startswith('x'), variant.endswith('encoder')
    config = _encoder(published) if encoder else _flow(scale, published)
    config.model.scale = scale
    config.evaluation.protocol = 'rgb_crop4'
    if not published:
        config.model.update(features=16, num_blocks=2, growth=8)
        return config
    config.model.num_blocks = 23 if scale == 4 else 8
    config.optimizer.schedule = 'multistep'
    config.data.update(crop_size=160, workers=8, validation_crops=256)
    if scale == 4:
        config.data.source = 'folder:data/DF2K'
        config.data.validation_source = 'folder:data/DIV2K_valid_HR'
    else:
        config.data.source = 'folder:data/CelebA'
    config.evaluation.every = config.checkpoint.every = 5000
    config.log.update(every=100, samples_every=5000)
    return config


def _flow(scale: int, published: bool) -> ml_collections.ConfigDict:
    """The sizes, rates and schedules of the authors' options, or small."""
    config = defaults('flow', model='srflow')
    config.optimizer.b2 = 0.999
    config.checkpoint.best_metric = 'bits_per_dimension'
    if published:
        config.loss.update(quantization=32, encoder_from=100_000)
        config.sampling.temperature = 0.9
        config.optimizer.learning_rate = 2.5e-4 if scale == 4 else 5e-4
        config.optimizer.milestones = (100_000, 150_000, 180_000, 190_000)
        config.train.update(steps=200_000, batch_size=12 if scale == 4 else 16)
        config.data.rotations = False
    else:
        config.model.update(stacked=2, steps=4, hidden=16)
        config.train.steps = 5000
        config.data.crop_size = 32
    return config


def _encoder(published: bool) -> ml_collections.ConfigDict:
    """What an RRDBNet learns of pixels before it serves as an encoder: see configs/rrdb.py."""
    config = defaults('regression', model='rrdb')
    config.model.skip_from_blocks = True
    if published:
        config.optimizer.update(learning_rate=2e-4, b2=0.999)
        config.optimizer.milestones = (200_000, 400_000, 600_000, 800_000)
        config.train.update(steps=1_000_000, batch_size=16)
    else:
        config.optimizer.learning_rate = 1e-3
        config.train.steps = 2000
    return config
