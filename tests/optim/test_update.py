"""The guarded update of parameters; what it does is tested with the tasks."""

import re

import jax
import jax.numpy as jnp
import optax
import pytest

from sr_jax.optim.optimizer import (
    OptimizerSettings,
    make_optimizer,
    make_schedule,
    record_gradient_norm,
)
from sr_jax.optim.update import accumulated_update


def test_whether_it_is_applied_is_computed_once_from_the_sums_of_the_norm():
    params = {str(size): jnp.ones(size) for size in range(2, 11)}
    optimizer = optax.chain(record_gradient_norm(), optax.adam(0.1))

    def loss(params, x, key):
        return sum(leaf[1] ** 3 for leaf in params.values()) * x[0, 0], ({}, {}, None)

    def update(params, opt_state, x, key):
        made = accumulated_update(
            *(loss, params, opt_state, None, x, key),
            optimizer=optimizer,
            accumulation=1,
            merge=lambda one, other: one,
        )
        return made[:2], made[-1].finite

    arguments = (params, optimizer.init(params), jnp.ones((3, 4)), jax.random.key(0))
    text = jax.jit(update).lower(*arguments).compile().as_text()
    assert len(params) <= text.count(' reduce(') <= len(params) + 2, text
    assert 1 <= text.count(' is-finite(') <= 3


@pytest.mark.parametrize('name', ['adam', 'sgd'])
def test_every_array_is_updated_where_it_lies(name):
    """No parameter and no moment is copied."""
    settings = OptimizerSettings(name=name, weight_decay=0.1)
    optimizer = make_optimizer(settings, make_schedule(settings, 10))
    params = {'kernel': jnp.ones((5, 7)), 'other': jnp.ones((7, 3))}

    def loss(params, x, key):
        return (x @ params['kernel'] @ params['other']).sum() ** 2, ({}, {}, None)

    def update(params, opt_state, x, key):
        return accumulated_update(
            *(loss, params, opt_state, None, x, key),
            optimizer=optimizer,
            accumulation=1,
            merge=lambda one, other: one,
        )[:2]

    arguments = (params, optimizer.init(params), jnp.ones((2, 5)), jax.random.key(0))
    text = jax.jit(update, donate_argnums=(0, 1)).lower(*arguments).compile().as_text()
    assert not re.findall(r'f32\[(?:5,7|7,3)\]\S* copy\(', text)
