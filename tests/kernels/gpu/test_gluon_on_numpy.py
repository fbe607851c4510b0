"""The stand-in for Gluon's operations, held to Triton's interpreter on what both have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sr_jax.kernels.gpu.interpret import interpret
from sr_jax.kernels.gpu.launch import KernelCall

triton = pytest.importorskip('triton', reason='the wheel of Triton exists for Linux only')
import triton.language as tl  # noqa: E402
from triton.experimental import gluon  # noqa: E402
from triton.experimental.gluon import language as gl  # noqa: E402
from triton.experimental.gluon.language.nvidia.ampere import mma_v2  # noqa: E402


@triton.jit
def in_triton(left, right, places, total, size: tl.constexpr):
    row = tl.program_id(0) * size + tl.arange(0, size)
    column = tl.arange(0, size)
    place = tl.load(places + row, mask=row < 20, other=0)
    a = tl.load(left + place[:, None] * size + column[None, :])
    a = tl.where((place % 3 == 0)[:, None], 0.0, a).to(a.dtype)
    b = tl.load(right + column[:, None] * size + column[None, :])
    product = tl.dot(a, b) + tl.dot(a, b)
    tl.store(total + row[:, None] * size + column[None, :], product, mask=(row < 20)[:, None])


@gluon.jit
def lanes(size: gl.constexpr, axis: gl.constexpr, layout: gl.constexpr):
    return gl.arange(0, size, gl.SliceLayout(axis, layout))


@gluon.jit
def in_gluon(left, right, places, total, size: gl.constexpr):
    """The same, where rows are fetched from shared memory as pairs, and taken apart."""
    layout: gl.constexpr = gl.BlockedLayout([1, 4], [8, 4], [4, 1], [1, 0])
    plain: gl.constexpr = gl.SwizzledSharedLayout(1, 1, 1, [1, 0])
    row = gl.program_id(0) * size + lanes(size, 1, layout)
    column = lanes(size, 0, layout)
    place = gl.load(places + row, mask=row < 20, other=0)
    a = gl.load(left + place[:, None] * size + column[None, :])
    a = gl.where((place % 3 == 0)[:, None], 0.0, a).to(a.dtype)
    b = gl.load(right + lanes(size, 1, layout)[:, None] * size + column[None, :])
    total_of = gl.zeros([size, size], gl.float32, layout)
    for _ in range(2):
        total_of = mma_v2(a, b, total_of)
    kept = gl.allocate_shared_memory(gl.float32, [2, size, size], plain)
    kept.index(1).store(total_of)
    index = lanes(size, 1, layout)[:, None] + gl.zeros([size, size], gl.int32, layout)
    total_of = kept.index(1).gather(index, 0)
    gl.store(total + row[:, None] * size + column[None, :], total_of, mask=(row < 20)[:, None])


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_both_compute_the_same(dtype):
    random = np.random.default_rng(0)
    left, right = (jnp.asarray(random.normal(size=(n, 16)), dtype) for n in (24, 16))
    places = jnp.asarray(random.permutation(24)[:20], 'int32')
    shape = jax.ShapeDtypeStruct((20, 16), 'float32')
    of_triton, of_gluon = (
        interpret(KernelCall(kernel, name, 2, (left, right, places), (shape,), dict(size=16)))[0]
        for name, kernel in (('in_triton', in_triton), ('in_gluon', in_gluon))
    )
    assert np.abs(of_triton).max() > 1
    np.testing.assert_allclose(of_gluon, of_triton, rtol=1e-6)


@gluon.jit
def halves(pairs, even, odd, size: gl.constexpr):
    layout: gl.constexpr = gl.BlockedLayout([4], [32], [4], [0])
    lane = gl.arange(0, size, layout)
    bits = gl.load(pairs + lane)
    kind: gl.constexpr = even.dtype.element_ty
    gl.store(even + lane, (bits & 0xFFFF).to(gl.uint16).to(kind, bitcast=True))
    gl.store(odd + lane, ((bits >> 16) & 0xFFFF).to(gl.uint16).to(kind, bitcast=True))


def test_a_pair_is_taken_apart():
    numbers = np.asarray(np.random.default_rng(1).normal(size=64), jnp.bfloat16)
    shape = jax.ShapeDtypeStruct((32,), 'bfloat16')
    call = KernelCall(halves, 'halves', 1, (numbers.view(np.int32),), (shape,) * 2, dict(size=32))
    even, odd = interpret(call)
    np.testing.assert_array_equal(even, numbers[::2])
    np.testing.assert_array_equal(odd, numbers[1::2])
