"""RRDBNet, ESRGAN's network: images enlarged four times, trained on the pixels' differences.

  python -m sr_jax.main --config configs/rrdb.py              # small, embedded photographs
  python -m sr_jax.main --config configs/rrdb.py:published    # ESRGAN's first phase on DIV2K
  python -m sr_jax.main --config configs/rrdb.py:real         # Real-ESRNet on DF2K and OST

Wang et al. 2018 (arXiv:1809.00219): the PSNR-oriented network with which ESRGAN begins. The small
variant has 2 blocks of 32 features and trains within minutes on two CPU cores.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4: 29.5 dB and an
SSIM of 0.732, where bicubic enlargement has 28.9 dB and 0.706; see RESULTS.md. The variants
published and real have not been run by us; they want images in folders (config.data.source).

Variant real: Wang et al. 2021 (arXiv:2107.10833), the first phase of Real-ESRGAN, with the numbers
of its published options. That run began with ESRGAN's trained network: `config.train.start_from`.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'published', 'real')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    degradation = 'second_order' if variant == 'real' else 'bicubic'
    config = defaults('regression', model='rrdb', degradation=degradation)
    if variant == 'photos':
        config.model.update(features=32, num_blocks=2, growth=16)
        config.optimizer.learning_rate = 1e-3
        config.train.steps = 2000
        return config
    config.optimizer.learning_rate = 2e-4
    config.train.steps = 1_000_000
    config.data.validation_source = 'folder:data/DIV2K_valid_HR'
    config.data.update(workers=8, validation_crops=256)
    config.evaluation.every = config.checkpoint.every = 5000
    config.log.update(every=100, samples_every=5000)
    if variant == 'published':
        milestones = (200_000, 400_000, 600_000, 800_000)
        config.optimizer.update(schedule='multistep', milestones=milestones, b2=0.999)
        config.train.batch_size = 16
        config.data.update(source='folder:data/DIV2K_train_HR', crop_size=128)
    if variant == 'real':
        config.optimizer.update(schedule='constant', ema_decay=0.999)
        config.train.effective_batch_size = 48
        config.data.update(source='folder:data/DF2K_OST', crop_size=256, rotations=False)
    return config
