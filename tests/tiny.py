"""Configs shrunk until they compile and train within seconds."""

import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import linen as nn

from configs import esrgan as esrgan_config
from configs import prior as prior_config
from configs import rrdb as rrdb_config
from configs import srflow as srflow_config
from configs import srresnet as srresnet_config
from configs import stylegan2 as stylegan2_config
from configs import video as video_config
from configs import vqvae as vqvae_config
from sr_jax import models, tasks
from sr_jax.checkpoints.run import begin
from sr_jax.config import extension
from sr_jax.config.defaults import defaults
from sr_jax.devices import sharding
from sr_jax.inference import networks
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.spectral_norm import SpectralConvolution
from sr_jax.models.protocols import image_batch
from sr_jax.tasks.task import with_frozen


def vqvae(**changes) -> ml_collections.ConfigDict:
    """A VQ-VAE run of 4 steps on the embedded photographs; `train__steps=6` sets train.steps."""
    return changed(shrink(vqvae_config.get_config('demo')), **changes)


def regression(**changes) -> ml_collections.ConfigDict:
    """An SRResNet run of 4 steps on the embedded photographs."""
    return changed(shrink(srresnet_config.get_config('photos')), **changes)


def gan(**changes) -> ml_collections.ConfigDict:
    """An ESRGAN run of 4 steps on the embedded photographs."""
    return changed(shrink(esrgan_config.get_config('photos')), **changes)


def video(**changes) -> ml_collections.ConfigDict:
    """A TecoGAN run of 4 steps on embedded photographs that move; its discriminator has the norms
    of the published one."""
    changes = {'discriminator__norm': 'batch', **changes}
    return changed(shrink(video_config.get_config('photos')), **changes)


def flow(**changes) -> ml_collections.ConfigDict:
    """An SRFlow run of 4 steps on the embedded photographs."""
    config = shrink(srflow_config.get_config('photos'))
    with config.unlocked():
        return changed(config, **changes)


def prior(**changes) -> ml_collections.ConfigDict:
    """A run of 4 steps of two tiny transformers, on the codes of a stage 1 that is to be named."""
    return changed(shrink(prior_config.get_config('transformer')), **changes)


def stylegan(**changes) -> ml_collections.ConfigDict:
    """A StyleGAN2 run of 4 steps on crops of 8 pixels, without augmentation."""
    config = shrink(stylegan2_config.get_config('photos'))
    config.augmentation.target = 0.0
    return changed(config, **changes)


def tone(**changes) -> ml_collections.ConfigDict:
    """A run of 4 steps of the toy in tests/toy, which `find_toy` lets be found."""
    config = shrink(defaults('tone', model='tone'))
    config.optimizer.schedule = 'constant'  # the same whether it is to end after 2 steps or 4
    return changed(config, **changes)


def find_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the task 'tone' and its network of one layer be found, which lie in tests/toy."""
    monkeypatch.setenv(extension.VARIABLE, str(pathlib.Path(__file__).parent / 'toy'))
    for package in (models, tasks):
        path = extension.extend(package.__path__, package.__name__)
        monkeypatch.setattr(package, '__path__', path)


def see_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the trainer and the commands see one device."""
    make_mesh = sharding.make_mesh
    monkeypatch.setattr(
        sharding,
        'make_mesh',
        lambda devices=None, **axes: make_mesh(devices or jax.devices()[:1], **axes),
    )


def real(**changes) -> ml_collections.ConfigDict:
    """A run of 4 steps of a tiny RRDBNet on images degraded in the second order."""
    return changed(shrink(rrdb_config.get_config('real')), **changes)


STYLES = dict(latent_size=5, num_mapping=2, channel_base=40, channel_max=6)
NETWORKS = {
    'tone': dict(features=2),
    'stylegan2': dict(size=8, **STYLES),
    'vqvae': dict(
        channels=8,
        num_res_blocks=1,
        res_channels=4,
        codebook_size=16,
        codebook_dim=4,
        revive_below=0.5,
    ),
    'glean': dict(in_size=8, size=32, features=3, num_blocks=1, growth=2, **STYLES),
    'srresnet': dict(features=4, num_blocks=1),
    'rrdb': dict(features=4, num_blocks=1, growth=2),
    'switched_sr': dict(features=4),
    'pixelsnail': dict(
        channels=8, kernel_size=3, num_blocks=1, num_res_blocks=1, res_channels=4, heads=2
    ),
    'code_transformer': dict(channels=8, num_layers=1, heads=2),
    'frvsr': dict(features=4, num_blocks=1, motion_features=2),
    'resnet': dict(depth=10, features=2, classes=0, stem='small'),
    'unet': dict(depth=10, features=2, classes=0, stem='small'),
    'fcos': dict(
        depth=10, features=2, classes=0, stem='small', head_features=6, num_convs=1, groups=3
    ),
    'pixpro': dict(depth=10, features=2, stem='small', hidden=6, latents=5),
    'deeplab': dict(depth=10, features=2, classes=0, stem='small', head_features=3),
    'srflow': dict(features=4, num_blocks=1, growth=2, stacked=1, steps=2, hidden=4),
}


# Of StyleGAN2.
DISCRIMINATOR = dict(size=8, channel_base=40, channel_max=6)
# Of the network of the bottom codes, which sees the top ones.
CONDITIONED = {
    'pixelsnail': dict(num_condition_blocks=1, condition_channels=5, attention=False),
    'code_transformer': dict(num_condition_layers=1),
}


class TinyDiscriminator(nn.Module):
    """A discriminator that compiles within a second, with both kinds of state."""

    REPEATED = ()

    batch_norm: bool = True
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n):
        return image_batch(n, 12, 16)

    @nn.compact
    def __call__(self, x, train=False):
        x = SpectralConvolution(4, 3, 2, self.dtype, name='conv')(x, train)
        x = BatchNorm(name='norm')(x, train) if self.batch_norm else x.astype(jnp.float32)
        return nn.Dense(1, name='last')(nn.tanh(x).reshape(len(x), -1))


# The embedded data of tasks that want more than images.
LABELLED = {'classification': 'textures', 'segmentation': 'mosaics', 'detection': 'sprites'}


def shrink(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Makes any config's network, images and run tiny, in place, and returns it."""
    config.model.update(NETWORKS[config.model.name])
    clips = config.task == 'video'
    source = 'moving:photos' if clips else LABELLED.get(config.task, 'photos')
    config.data.update(source=source, validation_source='')
    config.data.update(crop_size=16, validation_crops=12, workers=0, max_rejected=0)
    config.data.frames = 3 if clips else 1
    if config.task == 'stylegan':
        _shrink_styles(config)
    elif 'discriminator' in config:
        _shrink_adversarial(config)
    if 'bottom' in config:
        name = config.bottom.name
        config.bottom.update(NETWORKS[name] | CONDITIONED[name])
        config.model.classes = config.bottom.classes = 0
    config.train.update(steps=4, batch_size=4, accumulation=1, effective_batch_size=0)
    config.optimizer.warmup_steps = 0  # the first of so few steps would change nothing
    config.evaluation.update(every=2, batch_size=8)
    # Too little would be left of the crops.
    config.evaluation.protocol = config.evaluation.protocol.replace('crop4', 'crop0')
    config.checkpoint.update(every=2, keep_last=2)
    config.log.update(every=1, samples_every=4, samples=3)
    return config


def _shrink_styles(config: ml_collections.ConfigDict) -> None:
    """Images of two resolutions, and features of one layer."""
    config.discriminator.update(DISCRIMINATOR)
    config.data.crop_size = 8
    config.features.layer = 'relu1_1'
    config.average.images = 20


def _shrink_adversarial(config: ml_collections.ConfigDict) -> None:
    """Images as large as the least discriminator wants them, all terms from the first step on."""
    if config.discriminator.name == 'stylegan2_discriminator':
        config.discriminator.update(DISCRIMINATOR)
    else:
        grouped = config.discriminator.get('norm') == 'group'
        config.discriminator.features = 8 if grouped else 2
    if 'size' in config.discriminator:
        config.discriminator.size = 32
    config.data.crop_size = 32
    for term in config.loss.values():
        if 'start' in term:
            term.start = 0
    if config.loss.perceptual.weight:
        config.loss.perceptual.update(weights='random')
        config.loss.perceptual.layers = dict(conv1_2=1.0)
    if config.loss.get('translational', {}).get('crop_size'):
        config.data.crop_size, config.loss.translational.crop_size = 48, 32


def started(task, mesh, seed=0, load=networks.load):
    """The tree at the start of a run, by the trainer's own program, and with what is frozen."""
    tree, frozen = begin(task, seed, mesh), task.frozen(load, True)
    frozen = jax.device_put(frozen, sharding.layout(frozen, mesh))
    return {**tree, 'state': with_frozen(task, tree['state'], frozen)}


def images(count: int = 4, size: int = 16, seed: int = 0) -> np.ndarray:
    """Noise in [0, 1], float32 [count, size, size, 3]."""
    return np.random.default_rng(seed).random((count, size, size, 3), np.float32)


def examples(task, count: int = 4) -> dict[str, np.ndarray]:
    """A batch for a task: images of noise, classes in turn, and a box in each image."""
    rng = np.random.default_rng(0)

    def make(name: str, spec: jax.ShapeDtypeStruct) -> np.ndarray:
        if name == 'boxes':
            boxes = np.full(spec.shape, -1, np.float32)
            boxes[:, 0] = 2, 3, 11, 14, 1
            return boxes
        if spec.dtype == jnp.float32:
            return rng.random(spec.shape, np.float32)
        return np.arange(spec.size, dtype=np.int32).reshape(spec.shape) % 3

    return {name: make(name, spec) for name, spec in task.batch(count).items()}


def compiled(function, *arguments):
    """A jitted function compiled for these arguments."""
    return function.lower(*arguments).compile()


def changed(config: ml_collections.ConfigDict, **changes) -> ml_collections.ConfigDict:
    """Sets `section__key=value`, in place, and returns the config; sections may be nested."""
    for key, value in changes.items():
        *sections, name = key.split('__')
        section = config
        for part in sections:
            section = section[part]
        section[name] = value
    return config
