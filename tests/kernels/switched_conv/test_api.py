import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolutions import (
    OURS,
    RUNNABLE,
    assert_close,
    assert_same_as_reference,
    value_and_gradients,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sr_jax.kernels.switched_conv import route, switched_conv
from sr_jax.kernels.switched_conv.cases import NETWORKS, SMALL, UNEQUAL, Case
from switched import arguments

# As one program.
jitted_route = jax.jit(route, static_argnames=('breadth', 'block', 'groups', 'segment'))
NAIVE = ('s1_k1', 's1_k3', 's1_k5', 's2_k3', 's2_k5')


@pytest.mark.parametrize('implementation', ['reference', 'xla'])
@pytest.mark.parametrize('name', NAIVE)
def test_golden_numbers_in_float64(golden, name, implementation):
    arrays = golden(f'switch_naive_{name}')
    with jax.enable_x64(True):
        x = arrays['in/x'].transpose(0, 2, 3, 1)
        kernel = arrays['param/weight'].transpose(2, 3, 4, 1, 0)
        cotangent = arrays['cotangent'].transpose(0, 2, 3, 1)
        args = (x, arrays['in/mask'], kernel, arrays['param/bias'], cotangent)
        args = tuple(map(jnp.asarray, args))
        actual = value_and_gradients(*args, int(name[1]), implementation)
    y, grad_x, grad_kernel, grad_bias = actual
    assert y.dtype == 'float64'
    assert_close(
        (y.transpose(0, 3, 1, 2), grad_x.transpose(0, 3, 1, 2), grad_bias),
        (arrays['out/y'], arrays['grad/in/x'], arrays['grad/param/bias']),
        1e-12,
    )
    assert_close((grad_kernel.transpose(4, 3, 0, 1, 2),), (arrays['grad/param/weight'],), 1e-12)


@pytest.mark.parametrize('implementation', RUNNABLE)
def test_arrays_of_numpy_are_those_of_jax(implementation):
    x, selector, kernel, bias, _ = arguments(UNEQUAL[0])
    expected = switched_conv(x, selector, kernel, bias, implementation=implementation)
    numpys = jax.tree.map(np.asarray, (x, selector, kernel, bias))
    actual = switched_conv(*numpys, implementation=implementation)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize('implementation', RUNNABLE)
def test_golden_hard_routing_of_the_original(golden, implementation):
    arrays = golden('switch_hardrouting_function')
    selector = jnp.argmax(arrays['in/selector'], axis=1).astype(jnp.int32)
    x = jnp.asarray(arrays['in/x'].transpose(0, 2, 3, 1))
    kernel = jnp.asarray(arrays['param/weight'].transpose(2, 3, 4, 1, 0))
    cotangent = jnp.asarray(arrays['cotangent'].transpose(0, 2, 3, 1))
    bias = jnp.asarray(arrays['param/bias'])
    y, grad_x, grad_kernel, grad_bias = value_and_gradients(
        x, selector, kernel, bias, cotangent, 2, implementation
    )
    expected = [arrays[f'grad/{key}'] for key in ('in/x', 'param/weight', 'param/bias')]
    assert_close((y.transpose(0, 3, 1, 2),), (arrays['out/y'],), 2e-6)
    actual = (grad_x.transpose(0, 3, 1, 2), grad_kernel.transpose(4, 3, 0, 1, 2), grad_bias)
    assert_close(actual, expected, 2e-6)


@pytest.mark.parametrize('case', [*UNEQUAL, *SMALL[2:]])
@pytest.mark.parametrize('implementation', OURS)
def test_small_cases(case, implementation):
    assert_same_as_reference(case, arguments(case), 3e-6, implementation)


@pytest.mark.slow
@pytest.mark.parametrize('case', NETWORKS)
def test_network_cases(case):
    assert_same_as_reference(case, arguments(case), 1e-5, 'xla')


@pytest.mark.parametrize('implementation', OURS)
@pytest.mark.parametrize(('dtype', 'tolerance'), [('bfloat16', 1e-2), ('float16', 1e-3)])
def test_half_types(dtype, tolerance, implementation):
    case = UNEQUAL[0]
    args = arguments(case, dtype=dtype)
    ours = value_and_gradients(*args, case.stride, implementation)
    assert {array.dtype for array in ours} == {jnp.dtype(dtype)}
    exact = [jnp.asarray(array, 'float32') if i != 1 else array for i, array in enumerate(args)]
    assert_close(ours, value_and_gradients(*exact, case.stride, 'reference'), tolerance)


@st.composite
def cases(draw) -> Case:
    sizes = st.integers(1, 9)
    return Case(
        images=draw(st.integers(1, 3)),
        height=draw(sizes),
        width=draw(sizes),
        channels=draw(st.integers(1, 3)),
        features=draw(st.integers(1, 3)),
        breadth=draw(st.sampled_from((1, 2, 3, 7))),
        size=draw(st.sampled_from((1, 3, 5, 7))),
        stride=draw(st.integers(1, 4)),
    )


@settings(max_examples=4)
@given(
    case=cases(),
    seed=st.integers(0, 99),
    used=st.integers(1, 7),
    block=st.sampled_from((1, 3, 8)),
    segment=st.sampled_from((5, 30, 1000)),
)
def test_any_shape_equals_the_reference(case, seed, used, block, segment):
    x, selector, *rest = arguments(case, seed)
    selector = selector % used  # so that some kernels may stay without a pixel
    routing = jitted_route(selector, case.breadth, block=block, groups=1, segment=segment)
    assert_same_as_reference(case, (x, selector, *rest), 5e-6, routing=routing)


@settings(max_examples=3)
@given(
    case=cases(),
    seed=st.integers(0, 99),
    used=st.integers(1, 7),
    block=st.sampled_from((3, 8, 64)),
    segment=st.sampled_from((5, 30, 1000)),
)
def test_any_shape_on_the_interpreter(case, seed, used, block, segment):
    x, selector, *rest = arguments(case, seed)
    selector = selector % used
    routing = jitted_route(selector, case.breadth, block=block, groups=1, segment=segment)
    args = (x, selector, *rest)
    assert_same_as_reference(case, args, 5e-6, 'triton_interpret', routing)


@pytest.mark.parametrize(('size', 'stride'), [(3, 1), (7, 2), (1, 5)])
def test_bands_of_large_images(size, stride):
    case = Case(4, 23, 17, 8, 6, breadth=9, size=size, stride=stride)
    args = arguments(case)
    routing = jitted_route(args[1], case.breadth, groups=2, segment=2 * args[1].shape[2])
    assert routing.bands > 1
    assert_same_as_reference(case, args, 5e-6, routing=routing)


def test_one_kernel_is_a_dense_convolution():
    x, selector, kernel, bias, _ = arguments(Case(2, 8, 9, 5, 4, breadth=1, size=3, stride=1))
    dense = jax.lax.conv_general_dilated(
        x, kernel[0], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    y = switched_conv(x, selector, kernel)
    np.testing.assert_allclose(y, dense, atol=1e-5)
    np.testing.assert_allclose(
        switched_conv(x, selector, kernel, bias), y + bias[None, None, None], atol=1e-6
    )


@pytest.mark.parametrize('implementation', OURS)
def test_two_runs_give_the_same_bits(implementation):
    # What is interpreted is one that is compiled anyway, for it compiles for long.
    large = Case(4, 19, 23, 5, 6, breadth=7, size=3, stride=1)
    args = arguments(UNEQUAL[0] if implementation == 'triton_interpret' else large)
    first = value_and_gradients(*args, 1, implementation)
    second = value_and_gradients(*args, 1, implementation)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize('implementation', OURS)
def test_a_shared_routing_is_the_same(implementation):
    args = arguments(UNEQUAL[0])
    routing = jitted_route(args[1], UNEQUAL[0].breadth)
    shared = value_and_gradients(*args, 1, implementation, routing)
    alone = value_and_gradients(*args, 1, implementation)
    assert all(np.array_equal(a, b) for a, b in zip(shared, alone, strict=True))


@pytest.mark.parametrize('implementation', RUNNABLE)
def test_unknown_kernels_give_nan_under_jit(implementation):
    x, selector, kernel, bias, cotangent = arguments(UNEQUAL[0])
    wrong = selector.at[0, 2, 3].set(-1).at[1, 4, 4].set(5)
    clean = cotangent.at[0, 2, 3].set(0).at[1, 4, 4].set(0)
    y, *gradients = value_and_gradients(x, wrong, kernel, bias, cotangent, 1, implementation)
    expected, *others = value_and_gradients(x, selector, kernel, bias, clean, 1, implementation)
    mask = np.asarray(wrong != selector)
    assert np.isnan(y[mask]).all()
    # A pixel of no kernel moves the others in their blocks, and with it the order of their sums.
    assert_close((y[~mask],), (expected[~mask],), 1e-6)
    assert_close(gradients[:2], others[:2], 1e-6)


@pytest.mark.parametrize('implementation', RUNNABLE)
def test_vmap_over_a_further_axis(implementation):
    x, selector, kernel, bias, cotangent = arguments(Case(8, 5, 7, 10, 6, 9, 3, 1))
    expected = value_and_gradients(x, selector, kernel, bias, cotangent, 1, 'reference')

    def loss(kernel, bias, x):
        xs, selectors = x.reshape(2, 4, 5, 7, 10), selector.reshape(2, 4, 5, 7)
        convolve = functools.partial(
            switched_conv, implementation=implementation, precision='highest'
        )
        y = jax.vmap(convolve, (0, 0, None, None))(xs, selectors, kernel, bias)
        y = y.reshape(8, 5, 7, 6)
        return jnp.sum(y * cotangent), y

    differentiate = jax.jit(jax.grad(loss, argnums=(2, 0, 1), has_aux=True))
    gradients, y = differentiate(kernel, bias, x)
    assert_close((y, *gradients), expected, 3e-6)


@pytest.mark.parametrize('channels', [8, 32])
def test_memory_hardly_grows_with_the_breadth(channels):
    temporary = []
    for breadth in (8, 64):
        args = arguments(Case(2, 64, 64, channels, channels, breadth, 3, 1))
        routing = jax.eval_shape(functools.partial(route, breadth=breadth, groups=1), args[1])
        compiled = value_and_gradients.lower(*args, 1, 'xla', routing).compile()
        temporary.append(compiled.memory_analysis().temp_size_in_bytes)
    own = 64 * args[2][0].nbytes - 8 * args[2][0].nbytes
    assert temporary[1] < 1.1 * temporary[0] + own  # beyond the kernels' own gradients
