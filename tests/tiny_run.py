"""The tiny configs for processes of their own: `--config tests/tiny_run.py:gan`."""

import ml_collections
import tiny


def get_config(name: str) -> ml_collections.ConfigDict:
    """A run of 4 steps that saves after the second and the fourth."""
    config = getattr(tiny, name)(log__samples=0, evaluation__every=4)
    config.evaluation.batch_size = 4
    return config
