"""Recurrent super-resolution of films: TecoGAN, and smaller networks in the same loop.

  python -m sr_jax.main --config configs/video.py               # small, photographs that move
  python -m sr_jax.main --config configs/video.py:recurrent     # the same without a discriminator
  python -m sr_jax.main --config configs/video.py:frvsr         # as TecoGAN's authors begin
  python -m sr_jax.main --config configs/video.py:tecogan       # TecoGAN, from the run before

Chu et al. 2020 (arXiv:1811.09393), with the numbers of their published code, whose losses are sums
over channels of images in [-1, 1]: a squared difference there is 12 times ours, and 3 times where
images are in [0, 1]. `frvsr` and `tecogan` want films or folders of frames (config.data.source),
`tecogan` torchvision's VGG19 (config.loss.perceptual.weights) as well; clips of 10 frames run forth
and back. They have not been run by us. A Compact or an RRDBNet goes through the same loop by
--config.model.body=compact or rrdb.

The variants `photos` and `recurrent` have a body of 4 blocks and photographs that are panned,
zoomed and turned. Expect of `recurrent`, after its 4,000 updates of ten minutes of one core, 1.0 dB
above the cubic enlargement, LPIPS 0.25 in place of 0.37 (RESULTS.md, on other photographs); of the
400 of `photos` little, unless they begin with that: --config.train.start_from=runs/video_recurrent,
and --config.train.steps=3000: LPIPS 0.19 (RESULTS.md, on other photographs). Its discriminator has
spectral norms in place of the published batch norms, with which it had not begun after 1,500.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'recurrent', 'frvsr', 'tecogan')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    networks = {'model': 'frvsr'}
    if variant in ('photos', 'tecogan'):
        networks['discriminator'] = 'spatio_temporal'
    config = defaults('video', **networks)
    config.train.remat = True
    config.loss.pixel.weight, config.loss.warp.weight = 12.0, 3.0
    if variant in ('photos', 'tecogan'):
        config.loss.ping_pong.weight = 1.0
        config.loss.adversarial.weight, config.loss.blocks.weight = 0.01, 1.0
    if variant in ('photos', 'recurrent'):
        _photos(config)
    else:
        _published(config)
    if variant == 'tecogan':
        config.loss.perceptual.update(
            weight=0.2,
            criterion='cosine',
            weights='weights/vgg19.safetensors',
            layers=dict(relu2_2=1.0, relu3_4=1.0, relu4_4=1.0, relu5_4=1.0),
        )
        config.train.start_from = 'runs/video_frvsr'
        config.train.steps = 900_000
    return config


def _photos(config: ml_collections.ConfigDict) -> None:
    config.model.update(features=16, num_blocks=4, motion_features=8, center=0.5)
    config.data.update(source='moving:photos', crop_size=48, frames=5, validation_crops=24)
    config.train.update(steps=400, batch_size=4)
    config.evaluation.every = config.checkpoint.every = config.log.samples_every = 200
    if 'discriminator' in config:
        # So it acts within some thousand updates of few triplets each (RESULTS.md).
        config.discriminator.update(features=16, norm='spectral')
        config.optimizer.schedule = config.discriminator_optimizer.schedule = 'constant'
        config.discriminator_optimizer.learning_rate = 2e-3
        config.loss.adversarial.weight = 0.1
    else:
        config.train.steps = 4000
        config.optimizer.update(learning_rate=1e-3, schedule='cosine', warmup_steps=20)
        config.evaluation.every = config.checkpoint.every = config.log.samples_every = 500


def _published(config: ml_collections.ConfigDict) -> None:
    config.data.update(source='frames:data/clips', crop_size=128, frames=10, workers=8)
    config.data.rotations = False
    config.train.update(steps=500_000, batch_size=4)
    config.evaluation.every = config.checkpoint.every = 5000
    config.log.update(every=100, samples_every=5000)
    for name in ('optimizer', 'discriminator_optimizer'):
        config[name].update(learning_rate=5e-5, schedule='constant', b2=0.999)
