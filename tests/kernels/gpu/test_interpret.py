"""Triton's interpreter beside compiled kernels, in one process and without PyTorch."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sr_jax.kernels.gpu.interpret import interpret
from sr_jax.kernels.gpu.launch import KernelCall

triton = pytest.importorskip('triton', reason='the wheel of Triton exists for Linux only')
import triton.language as tl  # noqa: E402


@triton.jit
def doubled(numbers):
    return numbers + numbers


@triton.jit
def products(left, right, none, changed, total, sums, size: tl.constexpr):
    rows = tl.program_id(0) * size + tl.arange(0, size)[:, None]
    columns = tl.arange(0, size)[None, :]
    a, b = tl.load(left + rows * size + columns), tl.load(right + columns * size + rows % size)
    if none is not None:
        a += 1
    tl.store(total + rows * size + columns, tl.dot(a, tl.trans(b)))
    row = tl.program_id(0) * size + tl.arange(0, size)
    tl.store(sums + row, tl.sum(a.to(tl.float32), axis=1))
    number = tl.program_id(0)
    if number == 1:
        tl.store(changed + number, doubled(number))


@triton.jit
def rounded(numbers, halves, size: tl.constexpr):
    index = tl.arange(0, size)
    tl.store(halves + index, tl.load(numbers + index).to(tl.bfloat16))


@triton.jit
def broken(numbers, result):
    tl.store(result, tl.load(numbers) + undefined)


def call_products(dtype):
    left = jnp.arange(32 * 16, dtype='float32').reshape(32, 16) % 7 - 3
    right = jnp.arange(16 * 16, dtype='float32').reshape(16, 16) % 5 - 2
    return (
        left,
        right,
        KernelCall(
            products,
            'products',
            2,
            (left.astype(dtype), right.astype(dtype), None),
            (jax.ShapeDtypeStruct((32, 16), 'float32'), jax.ShapeDtypeStruct((32,), 'float32')),
            dict(size=16),
            updated=(jnp.full(3, 9, 'int32'),),
        ),
    )


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_products_sums_and_arrays_that_are_changed(dtype):
    left, right, call = call_products(dtype)
    changed, total, sums = interpret(call)
    np.testing.assert_array_equal(total, left @ right)
    np.testing.assert_array_equal(sums, left.sum(1))
    np.testing.assert_array_equal(changed, [9, 2, 9])
    np.testing.assert_array_equal(call.updated[0], 9)


def test_bfloat16_is_rounded_to_the_nearest():
    numbers = jnp.asarray(np.random.default_rng(0).normal(size=64), 'float32')
    shape = jax.ShapeDtypeStruct((64,), 'bfloat16')
    (halves,) = interpret(KernelCall(rounded, 'rounded', 1, (numbers,), (shape,), dict(size=64)))
    np.testing.assert_array_equal(halves, numbers.astype('bfloat16'))


def test_what_a_kernel_raises_leaves_no_number(monkeypatch):
    said = []
    monkeypatch.setattr(sys, 'unraisablehook', said.append)
    shape = jax.ShapeDtypeStruct((1,), 'float32')
    (result,) = interpret(KernelCall(broken, 'broken', 1, (jnp.ones(1),), (shape,), {}))
    assert np.isnan(result).all()
    assert 'undefined' in str(said[0].exc_value)
