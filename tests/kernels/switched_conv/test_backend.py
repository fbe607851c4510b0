"""A back end that somebody adds is one entry in BACKENDS: nothing else has to know of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolutions import assert_same_as_reference
from jax import lax
from sr_jax.kernels.gpu import jax_triton
from sr_jax.kernels.gpu.device import H100
from sr_jax.kernels.switched_conv import api, route, switched_conv
from sr_jax.kernels.switched_conv.backend import Backend, choose_by_platform, support_all
from sr_jax.kernels.switched_conv.cases import Case
from sr_jax.kernels.switched_conv.routing import out_of_range, sort_segments
from sr_jax.kernels.switched_conv.triton import devices
from sr_jax.kernels.switched_conv.xla import blocks
from switched import arguments

CASE = Case(2, 7, 9, 4, 6, breadth=5, size=3, stride=1)


def gather_kernels(x, kernel, bias, selector, stride, precision):
    """Takes each pixel's own kernel: the shortest way to write the operation, and much memory."""
    breadth, size, _, _, features = kernel.shape
    pad = [(size // 2, size // 2)] * 2
    patches = lax.conv_general_dilated_patches(
        x, (size, size), (stride, stride), pad, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    matrices = kernel.transpose(0, 3, 1, 2, 4).reshape(breadth, -1, features)
    y = jnp.einsum('nhwp,nhwpo->nhwo', patches, matrices[selector], precision=precision)
    y = jnp.where(out_of_range(selector, breadth)[..., None], jnp.nan, y)
    return y if bias is None else y + bias[None, None, None, :]


@pytest.mark.parametrize('stride', [1, 2])
def test_a_back_end_of_one_function(monkeypatch, stride):
    monkeypatch.setitem(api.BACKENDS, 'gathered', Backend(support_all, gather_kernels))
    case = CASE._replace(stride=stride)
    assert_same_as_reference(case, arguments(case), 3e-6, 'gathered')


def test_a_back_end_of_all_functions(monkeypatch):
    called = []

    def record(function):
        def call(*args):
            called.append(function.__name__)
            return function(*args)

        return call

    functions = map(record, (blocks.forward, blocks.backward, sort_segments))
    monkeypatch.setitem(api.BACKENDS, 'recorded', Backend(support_all, *functions, segment=30))
    assert_same_as_reference(CASE, arguments(CASE), 3e-6, 'recorded')
    assert sorted(called) == ['backward', 'forward', 'sort_segments']
    assert route(arguments(CASE)[1], CASE.breadth, implementation='recorded').segment == 30


def test_its_gradients_can_be_differentiated(monkeypatch):
    own = Backend(support_all, blocks.forward, blocks.backward, sort_segments)
    monkeypatch.setitem(api.BACKENDS, 'own', own)
    monkeypatch.setitem(api.BACKENDS, 'gathered', Backend(support_all, gather_kernels))
    x, selector, kernel, *_ = arguments(CASE)

    def penalty(x, implementation):
        def total(x):
            y = switched_conv(x, selector, kernel, implementation=implementation)
            return jnp.sum(jnp.tanh(y))

        return jnp.sum(jax.grad(total)(x) ** 2)

    gradient = jax.jit(jax.grad(penalty), static_argnums=1)
    expected = gradient(x, 'reference')
    for name in ('own', 'gathered'):
        np.testing.assert_allclose(gradient(x, name), expected, atol=1e-5)


def test_what_it_does_not_support_is_told_with_the_ones_that_do(monkeypatch):
    def support(x, kernel, stride):
        return None if stride == 1 else 'the stride is not 1'

    monkeypatch.setitem(api.BACKENDS, 'gathered', Backend(support, gather_kernels))
    x, selector, kernel, *_ = arguments(CASE._replace(stride=2))
    message = (
        r"'gathered' cannot compute this, for the stride is not 1: take one of 'xla', 'reference', "
        r"'triton', 'triton_interpret'$"
    )
    with pytest.raises(ValueError, match=message):
        switched_conv(x, selector, kernel, stride=2, implementation='gathered')
    with pytest.raises(ValueError, match=r"take one of 'xla', .*, 'gathered'$"):
        switched_conv(x, selector, kernel, stride=2, implementation='gather')
    with pytest.raises(ValueError, match=r"'gather' is unknown"):
        route(selector, 5, implementation='gather')


def test_the_best_is_asked_what_it_supports(monkeypatch):
    """With a GPU too, what its kernels do not know goes to XLA without them."""
    monkeypatch.setattr(api, 'present_gpu', lambda: H100)
    monkeypatch.setattr(api, 'find_obstacle', lambda: None)
    monkeypatch.setattr(jax_triton, 'find_obstacle', lambda: None)
    x, _, kernel, *_ = arguments(CASE)
    fast, plain = api.BACKENDS['triton'], api.BACKENDS['xla']
    assert api._find_backend(None, x, kernel, 1) == choose_by_platform(cuda=fast, default=plain)
    with jax.enable_x64(True):
        assert api._find_backend(None, x.astype('float64'), kernel, 1) == plain
    monkeypatch.setattr(api, 'present_gpu', lambda: None)
    assert api._find_backend(None, x, kernel, 1) == plain


def test_without_a_sort_a_routing_is_made_by_the_plain_one():
    selector = arguments(CASE)[1]
    ours = route(selector, CASE.breadth, implementation='reference')
    expected = route(selector, CASE.breadth, implementation='xla')
    for one, other in zip(ours.arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_gpu_without_jax_triton_takes_xla_and_says_so_once(monkeypatch, caplog):
    monkeypatch.setattr(api, 'present_gpu', lambda: H100)
    monkeypatch.setattr(api, 'find_obstacle', lambda: 'jax_triton is not installed (pip ...)')
    api._say_once.cache_clear()
    x, _, kernel, *_ = arguments(CASE)
    for _ in range(2):
        assert api._find_backend(None, x, kernel, 1) == api.BACKENDS['xla']
    assert caplog.messages == [
        "switched convolutions take 'xla' on this GPU: jax_triton is not installed (pip ...)"
    ]


@pytest.mark.parametrize(
    ('capability', 'obstacle', 'reason'),
    [
        (75, None, 'this GPU has compute capability 7.5, and Triton wants 8.0'),
        (90, 'jax-triton needs Python 3.12 or later', 'jax-triton needs Python 3.12 or later'),
    ],
)
def test_what_keeps_the_gpu_kernels_from_running(monkeypatch, capability, obstacle, reason):
    monkeypatch.setattr(devices, 'present_capability', lambda: capability)
    monkeypatch.setattr(jax_triton, 'find_obstacle', lambda: obstacle)
    x, selector, kernel, *_ = arguments(CASE)
    with pytest.raises(ValueError, match=rf"'triton' cannot compute this, for {reason}: take one"):
        switched_conv(x, selector, kernel, implementation='triton')
