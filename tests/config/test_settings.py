import dataclasses
import re

import pytest

from sr_jax.config import settings
from sr_jax.config.binding import bind
from sr_jax.errors import InputError

SECTIONS = {
    'train': settings.TrainSettings,
    'optimizer': settings.OptimizerSettings,
    'data': settings.DataSettings,
    'evaluation': settings.EvaluationSettings,
    'checkpoint': settings.CheckpointSettings,
    'log': settings.LogSettings,
}


@pytest.mark.parametrize('section', SECTIONS)
def test_every_field_has_a_default_that_is_valid(section):
    kind = SECTIONS[section]
    fields = {field.name for field in dataclasses.fields(kind)}
    assert set(vars(kind())) == fields


@pytest.mark.parametrize(
    ('section', 'key', 'value'),
    [
        ('train', 'steps', 0),
        ('train', 'batch_size', 0),
        ('train', 'accumulation', 0),
        ('train', 'fsdp', 0),
        ('train', 'memory_limit', -1),
        ('optimizer', 'b1', 1.0),
        ('optimizer', 'clip_norm', -1.0),
        ('optimizer', 'shampoo_beta', 1.0),
        ('optimizer', 'max_precondition_dim', 0),
        ('optimizer', 'learning_rate', float('nan')),
        ('optimizer', 'eps', -1.0),
        ('optimizer', 'warmup_steps', 2**31),
        ('optimizer', 'milestones', (7, 2**31)),
        ('optimizer', 'decay_factor', -0.5),
        ('optimizer', 'milestones', (0, 5)),
        ('optimizer', 'milestones', (7, 3)),
        ('optimizer', 'milestones', (3, 3)),
        ('optimizer', 'weight_decay', float('inf')),
        ('data', 'crop_size', 0),
        ('data', 'workers', -1),
        ('data', 'cache_bytes', -1),
        ('data', 'max_rejected', -1),
        ('data', 'validation_crops', 0),
        ('data', 'validation_fraction', 0.0),
        ('data', 'validation_fraction', 1.0),
        ('evaluation', 'batch_size', 0),
        ('checkpoint', 'keep_last', 0),
        ('log', 'samples', -1),
    ],
)
def test_a_number_out_of_range_is_named(section, key, value):
    where = f'config.{section}'
    with pytest.raises(InputError, match=rf'^{re.escape(where)}(\.|: ){key} '):
        bind(SECTIONS[section], {key: value}, where)
