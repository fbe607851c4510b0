"""How the commands of README.md and docs/ are made small for the tests, and which are not run.

What is appended to a command stands here in the open: it is run as it is documented, but for these
numbers. Published weights are stood in for by networks of a few features under the same names.
"""

from typing import Any

import tiny


def flags(section: str, values: dict[str, Any]) -> tuple[str, ...]:
    """The values of a section as a command has them."""
    return tuple(f'--config.{section}.{key}={value}' for key, value in values.items())


def make_prior(network: str) -> tuple[str, ...]:
    """The networks of both levels."""
    fields = tiny.NETWORKS[network]
    return (*flags('model', fields), *flags('bottom', fields | tiny.CONDITIONED[network]))


# Appended to every training. These and the networks are the numbers of `tiny.shrink`, so that what
# other tests have compiled is found.
TRAINING = (
    *flags('train', dict(steps=4, batch_size=4, effective_batch_size=0)),
    *flags('data', dict(validation_crops=12, workers=0)),
    *flags('evaluation', dict(every=4, batch_size=8, protocol='rgb_crop0')),
    '--config.checkpoint.every=4',
    *flags('log', dict(every=1, samples=3, samples_every=4)),
)
CROP = '--config.data.crop_size=16'
RRDB = flags('model', tiny.NETWORKS['rrdb'])
VQVAE = (*flags('model', tiny.NETWORKS['vqvae']), CROP)
VIDEO = (
    *flags('model', tiny.NETWORKS['frvsr']),
    '--config.data.crop_size=32',
    '--config.data.frames=3',
)
# And by the name of the config, or the name and its variant.
NETWORKS = {
    'vqvae': VQVAE,
    'vqvae_switched': (
        *VQVAE,
        "--config.model.switching.layers=('encoder_bottom/conv', 'decoder/conv')",
        '--config.model.switching.breadth=4',
        '--config.model.switching.network=standard',
        *flags('optimizer', dict(learning_rate=3e-4, schedule='constant')),
    ),
    # As large as the windows of SSIM want it where a border is cut off.
    'srresnet': (*flags('model', tiny.NETWORKS['srresnet']), '--config.data.crop_size=24'),
    'rrdb': (*RRDB, CROP),
    'esrgan': (
        *RRDB,
        '--config.discriminator.features=2',
        '--config.discriminator.size=32',
        '--config.data.crop_size=32',
        '--config.loss.adversarial.start=0',
    ),
    'curriculum': (*RRDB, CROP),
    # The second and the third step are those of rrdb:real and of esrgan, compiled once.
    'curriculum:degraded': (
        *(*RRDB, CROP, '--config.mixing.cutblur=0.0'),
        *flags('optimizer', dict(learning_rate=2e-4, schedule='constant', ema_warmup=0.0)),
    ),
    'curriculum:adversarial': (
        *(*RRDB, '--config.data.crop_size=32', '--config.mixing.cutblur=0.0'),
        *flags('discriminator', dict(form='vgg', features=2, size=32)),
        *flags('optimizer', dict(ema_decay=0.99, ema_warmup=0.0)),
        *flags('loss.adversarial', dict(weight=0.003, relativistic=True)),
        "--config.degradation={'name': 'bicubic'}",
        '--config.loss.criteria.weight=0.0',
    ),
    'video': (*VIDEO, '--config.discriminator.features=2'),
    'video:recurrent': VIDEO,
    'srflow': (*flags('model', tiny.NETWORKS['srflow']), CROP),
    'prior': (
        *make_prior('code_transformer'),
        *(CROP, '--config.optimizer.warmup_steps=0', '--workdir=runs/prior'),
    ),
    'stylegan2': (
        *flags('model', tiny.NETWORKS['stylegan2']),
        *flags('discriminator', tiny.DISCRIMINATOR),
        *('--config.data.crop_size=8', '--config.features.layer=relu1_1'),
        *('--config.average.images=20', '--config.augmentation.target=0.0'),
    ),
    # The generator of the page has fewer pixels than the windows of SSIM; without a discriminator,
    # since ESRGAN's page has one.
    'glean': (
        *flags('model', {**tiny.NETWORKS['glean'], 'in_size': 4, 'size': 16, 'num_blocks': 0}),
        *('--config.discriminator.name=', '--config.loss.adversarial.weight=0.0'),
        *(CROP, '--config.train.start_from='),
    ),
    'srflow:encoder': (*RRDB, CROP),
    'classification': (*flags('model', dict(features=2)), CROP),
    'classification:switched': (
        *flags('model', dict(features=2)),
        CROP,
        "--config.model.switching.layers=('backbone/stage_3_block_0/conv_1',)",
        '--config.model.switching.network=standard',
    ),
    'segmentation': (*flags('model', dict(features=2)), CROP),
    'shallow': (CROP,),
    'classify': ('--config.data.source=classes:by_class',),
    'changed': (),  # a run that is repeated: its config is small
}
# Instead of a value that a command gives.
INSTEAD = {
    # Its programs are those of tests/commands/test_prior_runs.py; PixelSNAIL's take minutes.
    'configs/prior.py': 'configs/prior.py:transformer',
    '--config.train.steps=200': '--config.train.steps=4',
    '--config.train.steps=800': '--config.train.steps=6',
    '--config.train.effective_batch_size=128': '--config.train.effective_batch_size=4',
    # What is a number of the program that is compiled is one that is compiled anyway.
    '--config.optimizer.learning_rate=1e-4': '--config.optimizer.learning_rate=3e-4',
    '--config.loss.adversarial.start=200': '--config.loss.adversarial.start=0',
    '--config.loss.adversarial.weight=0.005': '--config.loss.adversarial.weight=0.003',
}

# Commands that are looked at, but not run: how they begin, and why.
NOT_RUN = {
    'git clone': 'there is nothing to clone from',
    'cd ': 'goes with the clone',
    'python -m sr_jax app ': 'a server that does not end; tests/page opens it',
    'python -m sr_jax upscale photo.png --weights openmodeldb:': 'the network',
    'python -m sr_jax convert runs/srresnet --output srresnet.onnx': 'the extra onnx; where it is '
    'installed, tests/inference asks for more',
    'SR_JAX_PASSWORD=': 'as above',
    'tensorboard ': 'a server that does not end; it is not among the dependencies',
    'pip install': 'the network; what it names is looked up in setup.cfg',
    'make ': 'its target is looked up in the Makefile; a second environment would take minutes',
    '.venv/bin/python -m pytest': 'the tests themselves; its files are looked for',
    '.venv/bin/pip install': 'the network; what it names is looked up in setup.cfg',
    'BASE_PYTHON=': 'its target is looked up in the Makefile',
    'tools/supported_versions.sh': 'it makes two environments and runs all tests in each',
}
