"""Whole calls, traced and lowered for a GPU that is not there."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, PartitionSpec
from sr_jax.kernels.gpu.device import H100
from sr_jax.kernels.switched_conv import api, route, switched_conv
from sr_jax.kernels.switched_conv.cases import Case
from sr_jax.kernels.switched_conv.triton import block_sizes, devices
from sr_jax.kernels.switched_conv.triton.compile_check import PRODUCTS
from switched import arguments

pytest.importorskip('jax_triton', reason='jax-triton needs Python 3.12 and Linux')
CASE = Case(4, 5, 6, 7, 8, breadth=2, size=3, stride=1)


def trace(function, devices=1):
    """The gradients of a function of (mesh, x, selector, kernel), traced under such a mesh."""
    device = AbstractDevice(H100.name, None, 'gpu')
    mesh = AbstractMesh((devices,), ('data',), axis_types=(AxisType.Auto,), abstract_device=device)
    x, selector, kernel, *_ = arguments(CASE)

    def loss(x, kernel):
        return jnp.sum(function(mesh, x, selector, kernel))

    with jax.sharding.use_abstract_mesh(mesh):
        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).trace(x, kernel)


def find_calls(tree):
    """The parameters of the calls of Triton's kernels, in order, of whatever holds equations."""
    for leaf in jax.tree.leaves(tree, is_leaf=lambda one: hasattr(one, 'eqns')):
        for equation in getattr(getattr(leaf, 'jaxpr', leaf), 'eqns', ()):
            if equation.primitive.name == 'triton_kernel_call':
                yield equation.params
            yield from find_calls(equation.params)


def kernels(traced):
    return [call['name'] for call in find_calls(traced.jaxpr)]


def with_sizes(monkeypatch, **changes):
    chosen = block_sizes.block_sizes
    monkeypatch.setattr(devices, 'block_sizes', lambda *args: chosen(*args)._replace(**changes))


def test_a_gpu_takes_the_kernels(monkeypatch):
    """Down to their machine's language, for CUDA."""
    pytest.importorskip('jax_cuda12_plugin', reason='it brings what calls kernels on a GPU')
    monkeypatch.setattr(api, 'present_gpu', lambda: H100)
    traced = trace(lambda _, *args: switched_conv(*args))
    expected = {'count', 'bounds', 'place', 'forward', 'mark', 'masked', 'weight', 'reduce'}
    assert {*kernels(traced)} == expected
    text = traced.lower(lowering_platforms=('cuda',)).as_text()
    assert text.count('custom_call @triton_kernel_call_ffi') >= len(expected)


def test_the_device_that_is_compiled_for_decides(monkeypatch):
    """In a process with a GPU, what is compiled for the CPU there still takes `xla`."""
    monkeypatch.setattr(api, 'present_gpu', lambda: H100)
    x, selector, kernel, *_ = arguments(CASE)
    step = jax.jit(functools.partial(switched_conv, selector=selector))
    np.testing.assert_allclose(
        step(x, kernel=kernel), switched_conv(x, selector, kernel, implementation='xla')
    )
    assert 'triton' not in step.lower(x, kernel=kernel).as_text()


@pytest.mark.parametrize(('steps', 'unfolds'), [(4, 4), (3, 1)])
def test_few_steps_of_the_unfold_design_are_written_out(monkeypatch, steps, unfolds):
    from sr_jax.kernels.switched_conv.triton import unfold

    monkeypatch.setattr(unfold, '_UNROLLED', steps)
    with_sizes(monkeypatch, input_design='unfold', unfold_bytes=1)
    routing = route(arguments(CASE)[1], 2, groups=1, segment=30)  # one image a step
    traced = trace(lambda _, *args: switched_conv(*args, implementation='triton', routing=routing))
    found = kernels(traced)
    assert found.count('unfold') == found.count('fold') == unfolds


@pytest.mark.parametrize('implementation', [None, 'triton'])
def test_inside_shard_map(monkeypatch, implementation):
    monkeypatch.setattr(api, 'present_gpu', lambda: H100)
    spec = PartitionSpec('data')

    def convolve(mesh, x, selector, kernel):
        return jax.shard_map(
            lambda x, s, k: switched_conv(x, s, k, implementation=implementation),
            mesh=mesh,
            in_specs=(spec, spec, PartitionSpec()),
            out_specs=spec,
        )(x, selector, kernel)

    assert 'forward' in kernels(trace(convolve, devices=2))


@pytest.mark.parametrize('of_kernels', [None, 0])
def test_vmap_and_checkpoint(of_kernels):
    def convolve(_, x, selector, kernel):
        x, selector = (array.reshape(2, 2, *array.shape[1:]) for array in (x, selector))
        if of_kernels == 0:
            kernel = jnp.stack([kernel, kernel])
        call = functools.partial(switched_conv, implementation='triton')
        return jax.vmap(jax.checkpoint(call), (0, 0, of_kernels))(x, selector, kernel)

    assert {'forward', 'masked', 'weight', 'count'} <= {*kernels(trace(convolve))}


@pytest.mark.parametrize(
    ('asked', 'default', 'expected'),
    [(None, None, 'tf32'), ('highest', None, 'ieee'), (None, 'highest', 'ieee')],
)
def test_float32_is_rounded_unless_highest_is_asked_for(asked, default, expected):
    with jax.default_matmul_precision(default):
        traced = trace(
            lambda _, *args: switched_conv(*args, implementation='triton', precision=asked)
        )
    products = [call for call in find_calls(traced.jaxpr) if call['name'] in PRODUCTS]
    assert {call['name'] for call in products} == {'forward', 'masked', 'weight'}
    assert {call['metaparams']['precision'] for call in products} == {expected}


def test_products_and_sums_are_fused_whatever_the_default():
    traced = trace(lambda _, *args: switched_conv(*args, implementation='triton'))
    calls = list(find_calls(traced.jaxpr))
    assert calls
    assert all(call['backend_options']['enable_fp_fusion'] for call in calls)


def test_on_a_cpu_the_remedy_is_named():
    x, selector, kernel, *_ = arguments(CASE)
    with pytest.raises(NotImplementedError, match=r"^kernels that Triton compiles .*'xla'"):
        switched_conv(x, selector, kernel, implementation='triton')
