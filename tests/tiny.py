"""Configs shrunk until they compile and train within seconds."""

import ml_collections

from configs import rrdb as rrdb_config
from configs import srresnet as srresnet_config
from configs import vqvae as vqvae_config


def vqvae(**changes) -> ml_collections.ConfigDict:
    """A VQ-VAE run of 4 steps on the embedded photographs; `train__steps=6` sets train.steps."""
    return changed(shrink(vqvae_config.get_config('demo')), **changes)


def regression(**changes) -> ml_collections.ConfigDict:
    """An SRResNet run of 4 steps on the embedded photographs."""
    return changed(shrink(srresnet_config.get_config('photos')), **changes)


def real(**changes) -> ml_collections.ConfigDict:
    """A run of 4 steps of a tiny RRDBNet on pictures degraded in the second order."""
    return changed(shrink(rrdb_config.get_config('real')), **changes)


NETWORKS = {
    'vqvae': dict(
        channels=8, num_res_blocks=1, res_channels=4, codebook_size=16, codebook_dim=4
    ),
    'srresnet': dict(features=4, num_blocks=1),
    'rrdb': dict(features=4, num_blocks=1, growth=2),
    'switched_sr': dict(features=4),
}


def shrink(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Makes any config's network, pictures and run tiny, in place, and returns it."""
    config.model.update(NETWORKS[config.model.name])
    config.data.update(
        source='photos', crop_size=16, validation_crops=12, workers=0, max_rejected=0
    )
    config.train.update(steps=4, batch_size=4, accumulation=1, effective_batch_size=0)
    config.evaluation.update(every=2, batch_size=8)
    if config.evaluation.protocol == 'y_matlab_crop4':  # nothing would be left of the crops
        config.evaluation.protocol = 'y_matlab_crop0'
    config.checkpoint.update(every=2, keep_last=2)
    config.log.update(every=1, samples_every=4, samples=3)
    return config


def changed(config: ml_collections.ConfigDict, **changes) -> ml_collections.ConfigDict:
    """Sets `section__key=value`, in place, and returns the config."""
    for key, value in changes.items():
        section, _, name = key.rpartition('__')
        (config[section] if section else config)[name] = value
    return config
