"""Runs switched convolutions by each implementation, and compares them."""

import functools
import importlib.util

import jax
import numpy as np
from sr_jax.kernels.switched_conv import IMPLEMENTATIONS, switched_conv

# 'triton' needs a GPU: here its kernels are interpreted, by the wheel of Triton, which exists for
# Linux only; test_compile_check.py compiles them.
NOT_HERE = {'triton'} if importlib.util.find_spec('triton') else {'triton', 'triton_interpret'}
RUNNABLE = tuple(name for name in IMPLEMENTATIONS if name not in NOT_HERE)
OURS = tuple(name for name in RUNNABLE if name != 'reference')


@functools.partial(jax.jit, static_argnames=('stride', 'implementation'))
def value_and_gradients(x, selector, kernel, bias, cotangent, stride, implementation, routing=None):
    """The output, and the gradients of its product with the cotangent to x, kernel and bias."""

    def convolve(x, kernel, bias):
        settings = dict(routing=routing, precision='highest')  # the default: test_lowering.py
        return switched_conv(x, selector, kernel, bias, stride, implementation, **settings)

    y, pull_back = jax.vjp(convolve, x, kernel, bias)
    return y, *pull_back(cotangent)


def assert_close(actual, expected, tolerance):
    """Compares trees of arrays relative to the largest number of each expected one."""
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        theirs = np.asarray(theirs, np.float64)
        scale = max(np.abs(theirs).max(), 1e-3)
        np.testing.assert_allclose(np.asarray(ours, np.float64), theirs, atol=tolerance * scale)


def assert_same_as_reference(case, args, tolerance, implementation='xla', routing=None):
    ours = value_and_gradients(*args, case.stride, implementation, routing)
    assert_close(ours, value_and_gradients(*args, case.stride, 'reference'), tolerance)
