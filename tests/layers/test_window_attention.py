"""Attention within windows against its definition, at once and one window after another."""

import jax
import numpy as np
import pytest

from sr_jax.layers import window_attention
from sr_jax.layers.window_attention import attend
from sr_jax.layers.windows import SEPARATE

N, WINDOWS, QUERIES, KEYS, HEADS, CHANNELS = 2, 5, 4, 6, 3, 2


def by_definition(q, k, v, bias, regions):
    made = np.zeros((N, WINDOWS, QUERIES, HEADS, CHANNELS))
    for n, w, i, h in np.ndindex(N, WINDOWS, QUERIES, HEADS):
        logits = k[n, w, :, h] @ q[n, w, i, h] / np.sqrt(CHANNELS) + bias[h, i]
        logits = logits + SEPARATE * (regions[0][w, i] != regions[1][w])
        weights = np.exp(logits - logits.max())
        made[n, w, i, h] = weights / weights.sum() @ v[n, w, :, h]
    return made.reshape(N, WINDOWS, QUERIES, -1)


@pytest.mark.parametrize('most', [2**25, 2 * N * QUERIES * KEYS * HEADS])
def test_attention_is_its_definition(most, monkeypatch):
    monkeypatch.setattr(window_attention, 'MOST_WEIGHTS', most)
    rng = np.random.default_rng(0)
    q, k, v = (
        rng.standard_normal((N, WINDOWS, pixels, HEADS, CHANNELS), np.float32)
        for pixels in (QUERIES, KEYS, KEYS)
    )
    bias = rng.standard_normal((HEADS, QUERIES, KEYS), np.float32)
    regions = tuple(rng.integers(0, 2, (WINDOWS, pixels)) for pixels in (QUERIES, KEYS))
    run = jax.jit(lambda *inputs: attend(*inputs))  # traced anew
    made = run(q, k, v, bias, regions)
    np.testing.assert_allclose(made, by_definition(q, k, v, bias, regions), atol=1e-5)
    loops = 'while' in run.lower(q, k, v, bias, regions).as_text()
    assert loops == (most < 2**25)
