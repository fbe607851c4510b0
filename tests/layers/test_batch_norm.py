"""Batch normalisation: by its definition, in microbatches, and on eight devices."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from one_program import apply, init

from sr_jax.devices import sharding
from sr_jax.layers.batch_norm import BatchNorm, merge_statistics, update_batch_norms


def features(seed=0):
    x = jax.random.normal(jax.random.key(seed), (8 * 2 * 3 * 4,)).reshape(8, 2, 3, 4)
    return 3 * x + jnp.arange(4.0)[None, None, None] * 10


def learn(x, collection='batch_stats'):
    variables = init(BatchNorm(), jax.random.key(0), x)
    y, changed = apply(BatchNorm(), variables, x, train=True, mutable=[collection])
    return y, variables, changed[collection]


def test_biased_for_the_batch_and_unbiased_for_later():
    x = features()
    y, variables, averages = learn(x)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = (x - mean[None, None, None]) / np.sqrt(var + 1e-5)[None, None, None]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(averages['mean'], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(averages['var'], 0.9 + 0.1 * var * 48 / 47, rtol=1e-5)
    evaluated = apply(BatchNorm(), {**variables, 'batch_stats': averages}, x)
    centered = x - averages['mean'][None, None, None]
    expected = centered / np.sqrt(averages['var'] + 1e-5)[None, None, None]
    np.testing.assert_allclose(evaluated, expected, rtol=1e-5)


@hypothesis.settings(max_examples=12)
@hypothesis.given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 2))
def test_microbatches_update_as_one_batch_would(parts, seed):
    x = features(seed)
    _, variables, whole = learn(x)
    merged = None
    for part in jnp.split(x, parts):
        *_, statistics = learn(part, 'batch_norm_statistics')
        merged = statistics if merged is None else merge_statistics(merged, statistics)
    updated = update_batch_norms(variables['batch_stats'], merged)
    for name in ('mean', 'var'):
        np.testing.assert_allclose(updated[name], whole[name], rtol=1e-5)


def test_eight_devices_see_the_whole_batch():
    mesh = sharding.make_mesh()
    x = features()
    expected, variables, averages = learn(x)

    def step(variables, x):
        return BatchNorm().apply(variables, x, train=True, mutable=['batch_stats'])

    shards = (sharding.replicated_sharding(mesh), sharding.batch_sharding(mesh))
    y, changed = jax.jit(step, in_shardings=shards)(variables, x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    for name, value in averages.items():
        np.testing.assert_allclose(changed['batch_stats'][name], value, rtol=1e-5)


def test_one_value_leaves_a_finite_variance():
    _, _, averages = learn(jnp.ones((1, 1, 1, 2)))
    np.testing.assert_allclose(averages['var'], 0.9, rtol=1e-6)
