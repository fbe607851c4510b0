"""What a run is told about its switched convolutions before it begins."""

import numpy as np
import pytest

from sr_jax import tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.tasks.shared.switched import describe_late_norms


def norm(rows, written, filled=False):
    return {
        'buffer': np.zeros((rows, 3)),
        'index': np.int32(written),
        'filled': np.bool_(filled),
    }


@pytest.mark.parametrize(
    ('norms', 'start', 'steps', 'missing'),
    [
        ([norm(8, 0)], 'full', 7, 8),
        ([norm(8, 0)], 'full', 8, None),  # the last step has it
        ([norm(8, 3)], 'full', 4, 5),
        ([norm(8, 3, filled=True)], 'full', 4, None),
        ([norm(8, 3, filled=True), norm(9, 1)], 'full', 4, 8),
        ([norm(8, 0)], 'first', 4, None),
        ([norm(8, 0)], 'full', 0, None),  # nothing is left to do
        ([], 'full', 4, None),
    ],
)
def test_norms_that_never_begin_are_told(norms, start, steps, missing):
    state = {'generator': {'params': {'kernel': np.ones(5)}, 'switch_norm': dict(enumerate(norms))}}
    line = describe_late_norms(state, start, steps)
    assert bool(line) == (missing is not None)
    if line:
        assert f'after {missing} steps, and this run has {steps}:' in line
        assert 'config.model.switching.norm_size' in line


@pytest.mark.parametrize(
    ('task', 'model', 'remedy'),
    [
        ('regression', 'srresnet', r'take a network that can have some \(deeplab, .*, vqvae\)'),
        ('gan', 'rrdb', 'name some in config.model.switching.layers'),
        ('vqvae', 'vqvae', 'name some in config.model.switching.layers'),
        ('classification', 'resnet', 'name some in config.model.switching.layers'),
        ('segmentation', 'unet', 'name some in config.model.switching.layers'),
    ],
)
def test_a_loss_of_switched_convolutions_needs_some(task, model, remedy):
    config = defaults(task, model=model)
    key = 'load_balancing' if task == 'gan' else 'load_balancing_weight'
    loss = {key: {'weight': 0.25}} if task == 'gan' else {key: 0.25}
    config.loss.update(loss)
    message = f'^config.loss.{key} is for switched conv.*: {remedy}, or leave the weight at 0$'
    with pytest.raises(InputError, match=message):
        tasks.make(config)
