"""The guarded update of parameters; what it does is tested with the tasks."""

import jax
import jax.numpy as jnp
import optax

from sr_jax.optim.optimizer import record_gradient_norm
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
