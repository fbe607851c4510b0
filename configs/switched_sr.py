"""Super-resolution by five switched convolutions, against RRDBNet's 23 blocks.

  python -m sr_jax.main --config configs/switched_sr.py              # small, embedded photographs
  python -m sr_jax.main --config configs/switched_sr.py:published    # 64 features, on DIV2K

The article on switched convolutions (neonbjb, 2021) found a switched network of 5 layers and
breadth 8 competitive with RRDBNet of 23 blocks. It says no more of it: what the layers are is our
reading (`sr_jax/models/switched_sr.py`), and so are the selectors, those of the article's VQ-VAE.
Both variants are trained from scratch, though the article advises stages: a dense network first
(--config.model.switching.layers="()" --workdir runs/dense), then this one with
--config.train.start_from=runs/dense. Its advice of large batches is one flag:
--config.train.effective_batch_size=128.

Expect, with seed 0 on the validation photographs, by the protocol y_matlab_crop4, 28.3 dB and an
SSIM of 0.705; bicubic enlargement has 28.9 dB and 0.706: from scratch and in so short a run it does
not get there (with `--config.model.switching.credit=output` 27.9 dB and 0.699).
See RESULTS.md. The variant published has not been run by us.
"""

import ml_collections

from sr_jax.config.defaults import check_variant, defaults

VARIANTS = ('photos', 'published')


def get_config(variant: str = 'photos') -> ml_collections.ConfigDict:
    """Returns the config of a variant; raises InputError for one that is not there."""
    check_variant(variant, VARIANTS, __file__)
    config = defaults('regression', model='switched_sr')
    config.model.features = 32
    config.train.batch_size = 16
    if variant == 'published':
        config.model.features = 64
        config.optimizer.update(learning_rate=2e-4, ema_decay=0.999)
        config.train.steps = 1_000_000
        config.data.update(
            source='folder:data/DIV2K_train_HR',
            validation_source='folder:data/DIV2K_valid_HR',
            crop_size=128,
            workers=8,
            validation_crops=256,
        )
        config.evaluation.every = config.checkpoint.every = 5000
        config.log.update(every=100, samples_every=5000)
    return config
