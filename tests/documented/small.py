"""How the commands of README.md and docs/ are made small for the tests, and which are not run.

What is appended to a command stands here in the open: it is run as it is documented, but for these
numbers. Published weights are stood in for by networks of a few features under the same names.
"""

# Appended to every training.
TRAINING = (
    '--config.train.steps=2',
    '--config.train.batch_size=2',
    '--config.train.effective_batch_size=0',
    '--config.data.validation_crops=4',
    '--config.evaluation.every=2',
    '--config.evaluation.batch_size=4',
    '--config.evaluation.protocol=rgb_crop0',
    '--config.checkpoint.every=2',
    '--config.log.every=1',
    '--config.log.samples=2',
    '--config.log.samples_every=2',
)
RRDB = ('--config.model.features=4', '--config.model.num_blocks=1', '--config.model.growth=2')
VQVAE = (
    '--config.model.channels=8',
    '--config.model.num_res_blocks=1',
    '--config.model.res_channels=4',
    '--config.model.codebook_size=16',
    '--config.model.codebook_dim=4',
    '--config.data.crop_size=16',
)
# And by the name of the config, or the name and its variant.
NETWORKS = {
    'vqvae': VQVAE,
    'vqvae_switched': (
        *VQVAE,
        "--config.model.switching.layers=('encoder_bottom/conv', 'decoder/conv')",
        '--config.model.switching.breadth=2',
        '--config.model.switching.network=standard',
    ),
    'srresnet': (
        '--config.model.features=4',
        '--config.model.num_blocks=1',
        '--config.data.crop_size=24',
    ),
    'rrdb': (*RRDB, '--config.data.crop_size=16', '--config.data.workers=0'),
    'esrgan': (
        *RRDB,
        '--config.discriminator.features=2',
        '--config.discriminator.size=32',
        '--config.data.crop_size=32',
        '--config.loss.adversarial.start=0',
    ),
    'srflow': (
        *RRDB,
        '--config.model.stacked=1',
        '--config.model.steps=2',
        '--config.model.hidden=4',
        '--config.data.crop_size=16',
    ),
    'srflow:encoder': (*RRDB, '--config.data.crop_size=16'),
    'shallow': ('--config.data.crop_size=16',),
    'classify': ('--config.data.source=classes:by_class',),
}
# Instead of a value that a command gives.
INSTEAD = {
    '--config.train.steps=200': '--config.train.steps=2',
    '--config.train.steps=800': '--config.train.steps=4',
    '--config.train.effective_batch_size=128': '--config.train.effective_batch_size=4',
}

# Commands that are looked at, but not run: how they begin, and why.
NOT_RUN = {
    'git clone': 'there is nothing to clone from',
    'cd ': 'goes with the clone',
    'tensorboard ': 'a server that does not end; it is not among the dependencies',
    'pip install': 'the network; what it names is looked up in setup.cfg',
    'make ': 'its target is looked up in the Makefile; a second environment would take minutes',
    '.venv/bin/python -m pytest': 'the tests themselves; its files are looked for',
    '.venv/bin/pip install': 'the network; what it names is looked up in setup.cfg',
    'BASE_PYTHON=': 'its target is looked up in the Makefile',
    'tools/supported_versions.sh': 'it makes two environments and runs all tests in each',
}
