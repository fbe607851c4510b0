"""The guarded update of parameters; what it does is tested with the tasks."""

import jax
import jax.numpy as jnp
import optax

from sr_jax.optim.update import accumulated_update


def test_whether_it_is_applied_is_computed_once_not_for_each_array():
    params = {str(size): jnp.ones(size) for size in range(2, 11)}
    optimizer = optax.adam(0.1)

    def loss(params, x, key):
        return sum(jnp.sum(leaf**2) for leaf in params.values()) * x.sum(), ({}, {}, None)

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
    assert text.count(' is-finite(') >= len(params)
    assert text.count(' and(') <= 3 * len(params)
