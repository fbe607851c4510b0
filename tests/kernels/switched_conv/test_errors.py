import functools

import jax
import jax.numpy as jnp
import jaxtyping
import pytest
from sr_jax.kernels.switched_conv import route, switched_conv
from sr_jax.kernels.switched_conv.cases import UNEQUAL
from switched import arguments

WRONG = {
    'even kernel': (dict(kernel=jnp.zeros((2, 4, 4, 3, 5))), r'kernel must be square and odd'),
    'oblong kernel': (dict(kernel=jnp.zeros((2, 1, 3, 3, 5))), r'1 x 3'),
    'large kernel': (dict(kernel=jnp.zeros((2, 9, 9, 3, 5))), r'1 to 7 taps'),
    'dense kernel': (dict(kernel=jnp.zeros((3, 3, 3, 5))), r'kernel\[None\]'),
    'many kernels': (dict(kernel=jnp.zeros((257, 1, 1, 3, 5))), r'more than 256'),
    'channels': (dict(kernel=jnp.zeros((2, 3, 3, 4, 5))), r'takes 4 channels, but x has 3'),
    'kernel type': (dict(kernel=jnp.zeros((2, 3, 3, 3, 5), 'float16')), r'kernel is float16'),
    'x type': (dict(x=jnp.zeros((2, 6, 7, 3), 'int32')), r'x is int32: cast it'),
    'x axes': (dict(x=jnp.zeros((6, 7, 3))), r'x must be \[n, h, w, c\]'),
    'empty x': (dict(x=jnp.zeros((0, 6, 7, 3))), r'without empty axes'),
    'bias shape': (dict(bias=jnp.zeros(4)), r'bias must be float32\[5\]'),
    'bias type': (dict(bias=jnp.zeros(5, 'float16')), r'bias must be float32\[5\]'),
    'selector shape': (dict(selector=jnp.zeros((2, 6, 6), 'int32')), r'\[2, 6, 7\].*at stride 1'),
    'selector at stride': (dict(stride=2), r'selector must be \[2, 3, 4\]'),
    'selector type': (dict(selector=jnp.zeros((2, 6, 7))), r'selector\.astype\(jnp\.int32\)'),
    'selector above': (dict(selector=jnp.full((2, 6, 7), 2)), r'selector holds 2.*0 to 1'),
    'selector below': (dict(selector=jnp.full((2, 6, 7), -1)), r'selector holds -1'),
    'stride': (dict(stride=0), r'stride must be a whole number'),
    'stride type': (dict(stride=1.5), r'stride must be a whole number'),
    'implementation': (dict(implementation='fast'), r"'fast' is unknown: take one of 'xla'"),
    'precision': (dict(precision='exact'), r"'exact' is unknown: take one of 'default', 'high'"),
    'routing shape': (
        dict(routing=route(jnp.zeros((2, 6, 6), 'int32'), 2)),
        r'routing is of a selector \[2, 6, 6\]',
    ),
    'routing breadth': (dict(routing=route(jnp.zeros((2, 6, 7), 'int32'), 3)), r'for 3 kernels'),
}


@pytest.fixture
def without_type_checks():
    """Calls go through as they do outside pytest, where jaxtyping checks nothing."""
    jaxtyping.config.update('jaxtyping_disable', True)
    yield
    jaxtyping.config.update('jaxtyping_disable', False)


@pytest.mark.usefixtures('without_type_checks')
@pytest.mark.parametrize('name', WRONG)
def test_errors_name_the_argument_and_the_remedy(name):
    change, message = WRONG[name]
    right = dict(
        x=jnp.zeros((2, 6, 7, 3)),
        selector=jnp.zeros((2, 6, 7), 'int32'),
        kernel=jnp.zeros((2, 3, 3, 3, 5)),
    )
    with pytest.raises(ValueError, match=message):
        switched_conv(**(right | change))


def test_the_gpu_kernels_know_no_float64():
    with jax.enable_x64(True):
        x, selector, kernel, *_ = arguments(UNEQUAL[0], dtype='float64')
        with pytest.raises(
            ValueError,
            match="'triton' cannot compute this, for x is float64: take one of 'xla', 'ref",
        ):
            switched_conv(x, selector, kernel, implementation='triton')


def test_too_many_numbers_under_a_segment_for_int32():
    x = jax.ShapeDtypeStruct((1, 2**13, 2**13, 64), jnp.float16)
    selector = jax.ShapeDtypeStruct((1, 2**7, 2**7), jnp.int32)
    kernel = jax.ShapeDtypeStruct((2, 3, 3, 64, 1), jnp.float16)

    def convolve(x, selector, kernel, segment):
        routing = route(selector, 2, segment=segment)
        return switched_conv(x, selector, kernel, stride=64, routing=routing)

    with pytest.raises(ValueError, match='under the 16384 pixels .* than int32 can count'):
        jax.eval_shape(functools.partial(convolve, segment=None), x, selector, kernel)
    y = jax.eval_shape(functools.partial(convolve, segment=2**12), x, selector, kernel)
    assert y.shape == (*selector.shape, 1)


def test_too_many_pixels_for_int32():
    x = jax.ShapeDtypeStruct((2**10, 2**11, 2**11, 1), jnp.float16)
    selector = jax.ShapeDtypeStruct(x.shape[:3], jnp.int32)
    kernel = jax.ShapeDtypeStruct((2, 3, 3, 1, 1), jnp.float16)
    with pytest.raises(ValueError, match='more pixels than int32 can count'):
        jax.eval_shape(switched_conv, x, selector, kernel)
