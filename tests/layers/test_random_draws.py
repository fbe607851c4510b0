"""Draws in loops are the draws themselves, and they are in loops indeed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers import random_draws
from sr_jax.layers.random_draws import draw_in_loops


def draws(seed, impl='threefry2x32'):
    """Draws of many kinds and sizes, some of keys that are made of each other."""
    keys = [jax.random.fold_in(jax.random.key(seed, impl=impl), 3 + i) for i in range(9)]
    jax.random.normal(keys[0], (11,))  # nobody needs this one
    deep = jax.random.fold_in(keys[1], 7)
    return {
        'normal': [jax.random.normal(keys[i], (5 + i, 3)) for i in range(4)],
        'deep': jax.random.normal(deep, (6,)),
        'uniform': [jax.random.uniform(keys[5 + i], (2, 4 + i), minval=-i) for i in range(3)],
        'truncated': [jax.random.truncated_normal(k, -2, 1.5, (8,)) for k in keys[2:4]],
        'half': [jax.random.normal(k, (7,), jnp.bfloat16) for k in keys[3:5]],
        'together': jax.vmap(lambda key: jax.random.normal(key, (3,)))(jnp.stack(keys[:2])),
        'other': [jax.random.permutation(k, 10) for k in keys[6:]],
        'seed': seed,
        'number': 4.0,
    }


@pytest.mark.parametrize('impl', ['threefry2x32', 'rbg'])
def test_they_are_the_same(monkeypatch, impl):
    monkeypatch.setattr(random_draws, 'MAX_WASTE', 4)  # so that sizes fall into several loops
    expected = jax.jit(lambda seed: draws(seed, impl))(np.uint32(5))
    found = jax.jit(draw_in_loops(lambda seed: draws(seed, impl)))(np.uint32(5))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for name in expected:
        rounding = 1e-6 if name == 'truncated' else 0.0
        for one, other in zip(*map(jax.tree.leaves, (found[name], expected[name])), strict=True):
            assert one.dtype == other.dtype, name
            np.testing.assert_allclose(one, other, rtol=rounding, atol=rounding, err_msg=name)


@pytest.mark.parametrize(
    'draw',
    [
        jax.random.normal,
        lambda key, shape: jax.random.uniform(key, shape, minval=-3.0, maxval=shape[1]),
        lambda key, shape: jax.random.truncated_normal(key, -2.0, 1.5, shape),
    ],
    ids=list(random_draws.DRAWS),
)
def test_draws_of_one_kind_share_a_loop(draw):
    def several(seed):
        keys = [jax.random.fold_in(jax.random.key(seed), i) for i in range(12)]
        return [draw(key, (3, 5 + i)) for i, key in enumerate(keys)]

    steps = jax.make_jaxpr(draw_in_loops(several))(np.uint32(0)).jaxpr.eqns
    names = [step.primitive.name for step in steps]
    assert names.count('scan') == 2  # of the keys, and of the draws
    assert 'random_fold_in' not in names
    assert not any(step.params.get('name') in random_draws.DRAWS for step in steps)


def test_effects_are_kept():
    seen = []

    def noted(x):
        jax.debug.callback(seen.append, x)
        return x + 1

    assert jax.jit(draw_in_loops(noted))(4) == 5
    jax.effects_barrier()
    assert seen == [4]


def test_draws_of_one_size_share_a_loop_and_little_is_drawn_in_vain(monkeypatch):
    monkeypatch.setattr(random_draws, 'MAX_WASTE', 13)

    def several(seed):
        sizes = [30, 4, 24, 30, 24, 5]  # 12 numbers are drawn in vain for two of 24, one for the 4
        keys = [jax.random.fold_in(jax.random.key(seed), i) for i in range(len(sizes))]
        return [jax.random.normal(key, (n,)) for key, n in zip(keys, sizes, strict=True)]

    steps = jax.make_jaxpr(draw_in_loops(several))(np.uint32(0)).jaxpr.eqns
    loops = [step.outvars[0].aval.shape for step in steps if step.primitive.name == 'scan']
    assert sorted(loops) == [(2, 5), (4, 30), (6,)]
