import dataclasses

import jax
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.inference import networks
from sr_jax.tasks.task import TrainState, in_float32, predicting_variables, with_frozen


def test_the_fields_that_checkpoints_have_been_saved_with():
    """Another field, even one that is None, and no checkpoint before it can be read."""
    assert [field.name for field in dataclasses.fields(TrainState)] == [
        'step',
        'params',
        'variables',
        'opt_state',
        'ema_params',
        'loss_scale',
    ]


def step_shapes(make):
    """What a task's functions return, of a whole step and a prediction."""
    task = tasks.make(make())
    batch, key = tiny.examples(task), jax.random.key(3)
    state = jax.eval_shape(task.init, key, batch)
    frozen = jax.eval_shape(lambda: task.frozen(networks.load, True))
    state = with_frozen(task, state, frozen)
    outputs = jax.eval_shape(task.predict, predicting_variables(task, state), batch, key)
    return task.batch(2), outputs, jax.eval_shape(task.train_step, state, batch, key)


@pytest.mark.parametrize('make', [tiny.gan, tiny.flow, tiny.stylegan])
def test_steps_and_predictions_are_the_same_where_jax_has_float64(make):
    expected = step_shapes(make)
    with jax.enable_x64(True):
        assert step_shapes(make) == expected


@pytest.mark.parametrize('name', ['init', 'predict'])
def test_the_same_numbers_are_drawn_where_jax_has_float64(name):
    task = tasks.make(tiny.regression())._replace(
        init=lambda key, batch: jax.random.normal(key, (5,)),
        predict=lambda variables, batch, key: jax.random.normal(key, (5,)),
    )
    key = jax.random.key(6)
    inputs = {'init': (key, {}), 'predict': ({}, {}, key)}[name]
    expected = getattr(task, name)(*inputs)
    with jax.enable_x64(True):
        found = jax.jit(getattr(in_float32(task), name))(*inputs)
    np.testing.assert_array_equal(found, expected, strict=True)
