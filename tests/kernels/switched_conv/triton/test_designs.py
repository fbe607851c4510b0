"""The designs of the GPU kernels that block sizes choose between, run by Triton's interpreter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sr_jax.kernels.gpu.interpret import interpret
from sr_jax.kernels.switched_conv import route, switched_conv
from sr_jax.kernels.switched_conv.cases import Case
from sr_jax.kernels.switched_conv.triton import block_sizes, devices
from switched import arguments

pytest.importorskip('triton', reason='the wheel of Triton exists for Linux only')


def gradients(case, args, implementation, routing=None):
    x, selector, kernel, _, cotangent = args

    def loss(x, kernel):
        y = switched_conv(x, selector, kernel, None, case.stride, implementation, routing)
        return jnp.sum(y * cotangent)

    return jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)


def with_sizes(monkeypatch, **changes):
    """Changes the block sizes that the GPU kernels are called with."""
    chosen = block_sizes.block_sizes
    monkeypatch.setattr(devices, 'block_sizes', lambda *args: chosen(*args)._replace(**changes))


def assert_gradients_are_the_references(case, routing=None):
    args = arguments(case)
    if routing is not None:
        routing = route(args[1], case.breadth, **routing)
    ours = gradients(case, args, 'triton_interpret', routing)
    # The kernel's gradient multiplies bfloat16's halves of float32, 16 bits of each number.
    expected = gradients(case, args, 'reference')
    for one, other, tolerance in zip(ours, expected, (3e-6, 2e-5), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * float(jnp.abs(other).max()))


@pytest.mark.parametrize('design', ['unfold', 'masked'])
@pytest.mark.parametrize(('size', 'stride'), [(3, 1), (5, 2), (3, 4)])
def test_both_designs_of_the_gradient_of_x(monkeypatch, design, size, stride):
    with_sizes(monkeypatch, input_design=design)
    assert_gradients_are_the_references(Case(2, 13, 19, 6, 7, breadth=8, size=size, stride=stride))


@pytest.mark.parametrize(
    ('height', 'size', 'stride', 'rows', 'steps'),
    [
        (23, 3, 1, 2, 1),  # a band of 2 rows a step
        (23, 5, 1, 2, 3),  # 3 bands a step, of 12: none left over
        (23, 3, 2, 2, 5),  # 5 bands a step, of 6: the last step is short
        (8, 5, 1, 1, 1),  # a patch reaches over several steps
        (10, 5, 2, 1, 2),
        (23, 1, 5, 1, 1),  # patches that leave rows of x out
    ],
)
def test_steps_of_the_unfold_design(monkeypatch, height, size, stride, rows, steps):
    case = Case(2, height, 9, 4, 6, breadth=8, size=size, stride=stride)
    width = -(-case.width // stride)
    bytes_of_a_segment = rows * width * size**2 * case.channels * 4
    with_sizes(monkeypatch, input_design='unfold', unfold_bytes=steps * bytes_of_a_segment)
    assert_gradients_are_the_references(case, dict(groups=1, segment=rows * width))


def test_segments_of_several_images(monkeypatch):
    case = Case(5, 4, 6, 2, 7, breadth=8, size=3, stride=1)
    with_sizes(monkeypatch, input_design='unfold', unfold_bytes=2 * 2 * 24 * 18 * 4)
    assert_gradients_are_the_references(case, dict(groups=1, segment=48))


def test_many_channels_and_features():
    assert_gradients_are_the_references(Case(1, 5, 6, 72, 136, breadth=2, size=3, stride=1))


def test_float32_is_two_numbers_of_bfloat16():
    """Also where XLA may leave out a cast and the cast back."""
    from sr_jax.kernels.switched_conv.triton import weight

    sizes = devices.sizes_for(jnp.zeros((1, 1, 1, 3)), jnp.zeros((2, 3, 3, 3, 4)), 1, None)
    x = jnp.asarray(np.random.default_rng(0).normal(size=64), jnp.float32)
    halves = jax.jit(functools.partial(weight._factors, sizes=sizes))(x)
    assert [half.dtype for half in halves] == [jnp.bfloat16] * 2
    total = sum(half.astype(jnp.float32) for half in halves)
    assert float(jnp.abs(total / x - 1).max()) < 2**-16
    text = jax.jit(functools.partial(weight._factors, sizes=sizes)).lower(x).as_text()
    assert 'reduce_precision' in text
    assert weight._factors(x, sizes._replace(precision='ieee')) == (x, None)


def test_steps_in_a_loop_are_those_that_are_written_out(monkeypatch):
    from sr_jax.kernels.switched_conv.triton import unfold

    case = Case(2, 23, 9, 4, 6, breadth=8, size=3, stride=1)
    with_sizes(monkeypatch, input_design='unfold', unfold_bytes=1)
    routing, args = dict(groups=1, segment=46), arguments(case)
    sorted_once = route(args[1], case.breadth, **routing)
    written_out, _ = gradients(case, args, 'triton_interpret', sorted_once)
    monkeypatch.setattr(unfold, '_UNROLLED', 1)
    looped, _ = gradients(case, args, 'triton_interpret', sorted_once)
    np.testing.assert_array_equal(looped, written_out)


@pytest.mark.parametrize(
    ('case', 'dtype', 'window'),
    [
        (Case(2, 11, 19, 6, 7, breadth=5, size=3, stride=1), 'bfloat16', (16, 8, 16)),
        pytest.param(
            *(Case(1, 7, 13, 18, 20, breadth=9, size=5, stride=1), 'float16', (8, 16, 16)),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_shared_memory_gives_the_gradient_of_unfolding(case, dtype, window):
    """By Python over NumPy, for Gluon has no interpreter. Both round products and sums alike."""
    x, selector, kernel, _, cotangent = arguments(case, dtype=dtype)
    selector = selector.at[0, 2, 3].set(-1)
    sort = functools.partial(route, breadth=case.breadth, groups=1, implementation='xla')
    sizes = devices.sizes_for(x, kernel, 1, None)._replace(
        shared=block_sizes.Tile(*window, warps=8, stages=1)
    )
    by_design = [
        devices.backward(
            *(x, kernel, jax.jit(sort)(selector), cotangent, 1),
            *(sizes._replace(input_design=design), interpret),
        )[0]
        for design in ('unfold', 'shared')
    ]
    np.testing.assert_array_equal(*by_design)
