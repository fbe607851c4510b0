"""VQ-VAE-2, stage 2: a prior over the codes of a trained stage 1, which draws images.

  python -m sr_jax.main --config configs/prior.py --config.stage_1.source=runs/vqvae
  python -m sr_jax.main --config configs/prior.py:transformer --config.stage_1.source=runs/vqvae
  python -m sr_jax.main --config configs/prior.py:imagenet --config.stage_1.source=vqvae.safetensors

`photos` is a small PixelSNAIL for crops of 64 pixels, `transformer` a transformer in its place,
`imagenet` the published set-up: 32 x 32 top and 64 x 64 bottom codes of images of 256 pixels, with
classes. What a network has as 0 is filled in from the stage 1 and the size of the crops.

Expect, as bits per dimension (a code; even chances take 7) on 74 photographs, with a stage 1 of an
MSE of 0.0039 and 500 steps of 8 crops instead of 1,000 of 16: 4.70 (photos), 3.74 (transformer);
see RESULTS.md. The variant imagenet has not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'transformer', 'imagenet')
FILLED_IN = {'codes': 0, 'height': 0, 'width': 0}


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    network = 'code_transformer' if variant == 'transformer' else 'pixelsnail'
    config = defaults('prior', model=network, bottom=network)
    for section in (config.model, config.bottom):
        section.update(FILLED_IN)
    config.optimizer.update(learning_rate=3e-4, schedule='constant', b2=0.999)
    config.evaluation.every = config.checkpoint.every = config.log.samples_every = 500
    config.checkpoint.best_metric = 'bits_per_dimension'
    if variant == 'imagenet':
        _imagenet(config)
    else:
        _photos(config, variant)
    return config


def _photos(config: ml_collections.ConfigDict, variant: str) -> None:
    if variant == 'photos':
        for section in (config.model, config.bottom):
            section.update(channels=32, res_channels=32, num_blocks=2, num_res_blocks=2, heads=4)
        config.bottom.update(attention=False, num_condition_blocks=2, condition_channels=32)
    else:
        for section in (config.model, config.bottom):
            section.update(channels=64, num_layers=4, heads=4)
        config.bottom.num_condition_layers = 2
    config.optimizer.update(learning_rate=1e-3, schedule='cosine', warmup_steps=50)
    config.train.update(steps=1000, batch_size=16)
    config.data.update(crop_size=64, validation_crops=128)
    config.evaluation.every = config.checkpoint.every = config.log.samples_every = 250
    config.log.every = 10


def _imagenet(config: ml_collections.ConfigDict) -> None:
    config.bottom.update(attention=False, num_condition_blocks=3)
    for section in (config.model, config.bottom):
        section.classes = 1000
    config.train.update(steps=420 * 1_281_167 // 32, batch_size=32)
    config.data.update(
        source='tfds:imagenet2012',
        validation_crops=5000,
        crop_size=256,
        rotations=False,
        workers=8,
        max_rejected=100,
    )
    config.evaluation.update(every=10_000, batch_size=32)
    config.checkpoint.every = config.log.samples_every = 10_000
    config.log.every = 100
