"""Up-sampling, filtering and down-sampling in one: against BasicSR's numbers, and its gradients."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import nhwc

from sr_jax.layers import upfirdn as filters

CASES = range(6)


def reference(x, kernel, up, down, pad):
    """The definition, of an image of one channel [h, w], in float64."""
    h, w = x.shape
    full = np.zeros((h * up, w * up))
    full[::up, ::up] = x
    before, after = pad
    full = np.pad(full, max(before, after, 0) + max(kernel.shape))
    low = max(before, after, 0) + max(kernel.shape) - before
    rows, columns = (size * up + before + after for size in (h, w))
    full = full[low : low + rows, low : low + columns]
    turned = kernel[::-1, ::-1]
    made = [
        [
            (full[i : i + len(turned), j : j + len(turned[0])] * turned).sum()
            for j in range(0, columns - len(turned[0]) + 1, down)
        ]
        for i in range(0, rows - len(turned) + 1, down)
    ]
    return np.array(made)


@pytest.mark.parametrize('case', CASES)
def test_the_originals_cases(golden, case):
    arrays = golden('extra_upfirdn2d')
    up, down, *pad = json.loads(str(arrays['meta/json']))['hp']['cases'][case]
    y = filters.upfirdn(nhwc(arrays['in/x']), arrays[f'case{case}/in/kernel'], up, down, pad)
    np.testing.assert_allclose(y, nhwc(arrays[f'case{case}/out/y']), atol=2e-6)


@pytest.mark.parametrize(
    ('name', 'function'),
    [
        ('upsample', filters.upsample),
        ('downsample', filters.downsample),
        ('smooth_up_k3', lambda x: filters.smooth(x, (1, 1), 4)),
        ('smooth_down_k3', lambda x: filters.smooth(x, (2, 2))),
    ],
)
def test_the_originals_layers(golden, name, function):
    arrays = golden('extra_upfirdn_modules')
    y = function(nhwc(arrays['in/x']))
    np.testing.assert_allclose(y, nhwc(arrays[f'out/{name}']), atol=1e-6)


@given(
    st.tuples(*[st.integers(3, 6)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2),
    *[st.integers(1, 3)] * 2,
    st.tuples(*[st.integers(-1, 4)] * 2),
)
@settings(max_examples=12)
def test_the_definition_and_its_transpose(sides, taps, up, down, pad):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=sides), rng.normal(size=taps)
    if min(side * up + sum(pad) - tap for side, tap in zip(sides, taps, strict=True)) < 0:
        return
    expected = reference(x, kernel, up, down, pad)

    @jax.jit
    def run(x, along, cotangent):
        y, pull_back = jax.vjp(lambda x: filters.upfirdn(x, kernel, up, down, pad), x)
        (gradient,) = pull_back(cotangent)
        return y, jnp.vdot(gradient, along)

    along, cotangent = rng.normal(size=sides), rng.normal(size=expected.shape)
    y, product = run(*(a[None, :, :, None].astype(np.float32) for a in (x, along, cotangent)))
    np.testing.assert_allclose(y[0, :, :, 0], expected, atol=1e-4)
    moved = reference(along, kernel, up, down, pad)
    np.testing.assert_allclose(product, (moved * cotangent).sum(), atol=1e-3)
