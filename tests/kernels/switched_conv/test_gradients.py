"""First derivatives by other means, and derivatives of the gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolutions import OURS, assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from sr_jax.kernels.switched_conv import route, switched_conv
from sr_jax.kernels.switched_conv.cases import SMALL, UNEQUAL, Case
from switched import arguments


def test_gradients_in_float64_by_finite_differences():
    case = UNEQUAL[1]
    with jax.enable_x64(True):
        x, selector, kernel, bias, _ = arguments(case, dtype='float64')

        def loss(x, kernel, bias):
            return jnp.sum(switched_conv(x, selector, kernel, bias, case.stride) ** 2)

        check_grads(jax.jit(loss), (x, kernel, bias), order=1, modes=('rev',), atol=1e-7, rtol=1e-7)


def test_no_gradient_to_the_selector():
    x, selector, kernel, _, _ = arguments(UNEQUAL[0])
    gradient = jax.grad(lambda selector: switched_conv(x, selector, kernel).sum(), allow_int=True)(
        selector
    )
    assert gradient.dtype == jax.dtypes.float0


@pytest.mark.parametrize('implementation', OURS)
def test_checkpoint_gives_the_same_gradients(implementation):
    x, selector, kernel, bias, cotangent = arguments(UNEQUAL[0])

    def loss(x, kernel, bias):
        y = switched_conv(x, selector, kernel, bias, 1, implementation)
        return jnp.sum(y * cotangent)

    plain, again = (
        jax.jit(jax.grad(function, argnums=(0, 1, 2)))(x, kernel, bias)
        for function in (loss, jax.checkpoint(loss))
    )
    assert_close(again, plain, 1e-6)


@functools.partial(jax.jit, static_argnames=('stride', 'implementation'))
def gradients_of_a_penalty(x, selector, kernel, bias, stride, implementation):
    """Of the squares of the gradients of something curved, as a gradient penalty has them."""

    def penalty(x, kernel, bias):
        def curved(x, kernel, bias):
            y = switched_conv(
                x, selector, kernel, bias, stride, implementation, precision='highest'
            )
            return jnp.sum(jnp.tanh(y))

        gradients = jax.grad(curved, argnums=(0, 1, 2))(x, kernel, bias)
        return sum(jnp.sum(gradient**2) for gradient in gradients)

    return jax.grad(penalty, argnums=(0, 1, 2))(x, kernel, bias)


@pytest.mark.parametrize('implementation', OURS)
@pytest.mark.parametrize('case', [*UNEQUAL, *SMALL[2:]])
def test_second_derivatives(case, implementation):
    *args, _ = arguments(case)
    ours = gradients_of_a_penalty(*args, case.stride, implementation)
    expected = gradients_of_a_penalty(*args, case.stride, 'reference')
    assert_close(ours, expected, 1e-5)


@settings(max_examples=4)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    breadth=st.integers(1, 6),
    size=st.sampled_from((1, 3, 5)),
    stride=st.integers(1, 3),
)
def test_second_derivatives_of_any_shape(sizes, channels, breadth, size, stride):
    *args, _ = arguments(Case(*sizes, *channels, breadth, size, stride))
    ours = gradients_of_a_penalty(*args, stride, 'xla')
    assert_close(ours, gradients_of_a_penalty(*args, stride, 'reference'), 1e-5)


def test_three_derivatives_in_float64_by_finite_differences():
    with jax.enable_x64(True):
        x, selector, kernel, bias, _ = arguments(Case(1, 4, 5, 6, 2, 7, 3, 2), dtype='float64')

        def loss(x, kernel, bias):
            return jnp.sum(jnp.tanh(switched_conv(x, selector, kernel, bias, 2, 'xla')))

        check_grads(jax.jit(loss), (x, kernel, bias), order=3, modes=('rev',), atol=1e-6, rtol=1e-6)


def test_second_derivatives_share_the_routing():
    x, selector, kernel, _, _ = arguments(UNEQUAL[0])
    routing = jax.jit(route, static_argnums=1)(selector, UNEQUAL[0].breadth)

    def penalty(x, routing):
        convolve = functools.partial(switched_conv, selector=selector, kernel=kernel)
        gradient = jax.grad(lambda x: jnp.sum(convolve(x, routing=routing) ** 3))(x)
        return jnp.sum(gradient**2)

    differentiate = jax.jit(jax.grad(penalty))
    alone, shared = (differentiate(x, given) for given in (None, routing))
    np.testing.assert_array_equal(shared, alone)
