import math

import ml_collections
import numpy as np
import pytest

from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.config.settings import CheckpointSettings

MEASURED = (7.0, math.nan, 3.0, 5.0)


@pytest.mark.parametrize(('higher', 'best'), [(True, 1), (False, 3)])
def test_what_is_no_number_is_the_worst_wherever_it_comes(higher, best, tmp_path):
    settings = CheckpointSettings(every=1, keep_last=1, keep_best=1, best_metric='sharpness')
    checkpoints = Checkpoints(tmp_path, settings, higher)
    config = ml_collections.ConfigDict({'seed': 2})
    for step, value in enumerate(MEASURED, 1):
        tree = {'params': np.full(6, step, np.float32)}
        metrics = {'sharpness_y': value}
        checkpoints.save(step, tree, config=config, data=None, metrics=metrics)
        checkpoints.wait()
        assert checkpoints.steps()[-1] == step
    assert checkpoints.steps() == [best, 4]
    assert checkpoints.best_step('sharpness', higher) == best
    checkpoints.close()
