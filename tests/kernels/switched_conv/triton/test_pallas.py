"""The designs of the GPU kernels that block sizes choose between, run by Pallas's interpreter."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, PartitionSpec
from sr_jax.kernels.gpu.compile_check import triton_modules
from sr_jax.kernels.gpu.device import H100
from sr_jax.kernels.switched_conv import api, route, switched_conv
from sr_jax.kernels.switched_conv.cases import Case
from sr_jax.kernels.switched_conv.triton import block_sizes, pallas, unfold, weight
from sr_jax.kernels.switched_conv.triton.compile_check import PRODUCTS
from sr_jax.kernels.switched_conv.triton.tiles import PREFIX
from switched import arguments


def gradients(case, args, implementation, routing=None):
    x, selector, kernel, _, cotangent = args

    def loss(x, kernel):
        y = switched_conv(x, selector, kernel, None, case.stride, implementation, routing)
        return jnp.sum(y * cotangent)

    return jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)


def with_sizes(monkeypatch, **changes):
    """Changes the block sizes that the GPU kernels are called with."""
    chosen = block_sizes.block_sizes
    monkeypatch.setattr(pallas, 'block_sizes', lambda *args: chosen(*args)._replace(**changes))


def assert_gradients_are_the_references(case, routing=None):
    args = arguments(case)
    if routing is not None:
        routing = route(args[1], case.breadth, **routing)
    ours = gradients(case, args, 'pallas_interpret', routing)
    # The kernel's gradient multiplies bfloat16's halves of float32, 16 bits of each number.
    expected = gradients(case, args, 'reference')
    for one, other, tolerance in zip(ours, expected, (3e-6, 2e-5), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * float(jnp.abs(other).max()))


@pytest.mark.parametrize('design', pallas.INPUT_DESIGNS)
@pytest.mark.parametrize(('size', 'stride'), [(3, 1), (5, 2), (3, 4)])
def test_both_designs_of_the_gradient_of_x(monkeypatch, design, size, stride):
    with_sizes(monkeypatch, input_design=design)
    assert_gradients_are_the_references(Case(2, 13, 19, 6, 7, breadth=8, size=size, stride=stride))


@pytest.mark.parametrize(
    ('size', 'stride', 'rows', 'steps'),
    [
        (3, 1, 2, 1),  # a band of 2 rows a step
        (5, 1, 2, 3),  # 3 bands a step, of 12: none left over
        (3, 2, 2, 5),  # 5 bands a step, of 6: the last step is short
        (7, 1, 1, 1),  # a patch reaches over several steps
        (7, 2, 1, 2),
        (1, 5, 1, 1),  # patches that leave rows of x out
    ],
)
def test_steps_of_the_unfold_design(monkeypatch, size, stride, rows, steps):
    case = Case(2, 23, 9, 4, 6, breadth=8, size=size, stride=stride)
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


def test_the_device_that_is_compiled_for_decides(monkeypatch):
    """In a process with a GPU, what is compiled for the CPU there still takes `xla`."""
    monkeypatch.setattr(api, 'present_gpu', lambda: H100)
    case = Case(1, 5, 6, 4, 7, breadth=2, size=3, stride=1)
    x, selector, kernel, *_ = arguments(case)
    step = jax.jit(functools.partial(switched_conv, selector=selector))
    np.testing.assert_allclose(
        step(x, kernel=kernel), switched_conv(x, selector, kernel, implementation='xla')
    )
    assert 'triton' not in step.lower(x, kernel=kernel).as_text()


def test_float32_is_two_numbers_of_bfloat16():
    """Also where XLA may leave out a cast and the cast back."""
    sizes = pallas.sizes_for(jnp.zeros((1, 1, 1, 3)), jnp.zeros((2, 3, 3, 3, 4)), 1, None)
    x = jnp.asarray(np.random.default_rng(0).normal(size=64), jnp.float32)
    halves = jax.jit(functools.partial(weight._factors, sizes=sizes))(x)
    assert [half.dtype for half in halves] == [jnp.bfloat16] * 2
    total = sum(half.astype(jnp.float32) for half in halves)
    assert float(jnp.abs(total / x - 1).max()) < 2**-16
    text = jax.jit(functools.partial(weight._factors, sizes=sizes)).lower(x).as_text()
    assert 'reduce_precision' in text
    assert weight._factors(x, sizes._replace(precision='ieee')) == (x,)


class TestLoweringForGpus:
    """Whole calls, lowered for a GPU that is not there."""

    case = Case(4, 5, 6, 7, 8, breadth=2, size=3, stride=1)

    def lower(self, function, devices=1):
        device = AbstractDevice(H100.name, None, 'gpu')
        mesh = AbstractMesh(
            (devices,), ('data',), axis_types=(AxisType.Auto,), abstract_device=device
        )
        x, selector, kernel, *_ = arguments(self.case)

        def loss(x, kernel):
            return jnp.sum(function(mesh, x, selector, kernel))

        with jax.sharding.use_abstract_mesh(mesh):
            traced = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).trace(x, kernel)
            return traced.lower(lowering_platforms=('cuda',))

    def test_a_gpu_takes_the_kernels(self, monkeypatch):
        monkeypatch.setattr(api, 'present_gpu', lambda: H100)
        text = self.lower(lambda _, *args: switched_conv(*args)).as_text()
        for kernel in ('count', 'place', 'forward', 'mark', 'masked', 'weight', 'reduce'):
            assert f'switched_conv_{kernel}' in text

    @pytest.mark.parametrize(('steps', 'unfolds'), [(4, 4), (3, 1)])
    def test_few_steps_of_the_unfold_design_are_written_out(self, monkeypatch, steps, unfolds):
        monkeypatch.setattr(unfold, '_UNROLLED', steps)
        with_sizes(monkeypatch, input_design='unfold', unfold_bytes=1)
        routing = route(arguments(self.case)[1], 2, groups=1, segment=30)  # one image a step
        lowered = self.lower(
            lambda _, *args: switched_conv(*args, implementation='pallas', routing=routing)
        )
        kernels = [module.name for module in triton_modules(lowered, PREFIX)]
        assert kernels.count('unfold') == kernels.count('fold') == unfolds
        assert ('stablehlo.while' in lowered.as_text()) == (unfolds == 1)

    @pytest.mark.parametrize('implementation', [None, 'pallas'])
    def test_inside_shard_map(self, monkeypatch, implementation):
        monkeypatch.setattr(api, 'present_gpu', lambda: H100)
        spec = PartitionSpec('data')

        def convolve(mesh, x, selector, kernel):
            return jax.shard_map(
                lambda x, s, k: switched_conv(x, s, k, implementation=implementation),
                mesh=mesh,
                in_specs=(spec, spec, PartitionSpec()),
                out_specs=spec,
            )(x, selector, kernel)

        assert 'switched_conv_forward' in self.lower(convolve, devices=2).as_text()

    @pytest.mark.parametrize('of_kernels', [None, 0])
    def test_vmap_and_checkpoint(self, of_kernels):
        def convolve(_, x, selector, kernel):
            x, selector = (array.reshape(2, 2, *array.shape[1:]) for array in (x, selector))
            if of_kernels == 0:
                kernel = jnp.stack([kernel, kernel])
            call = functools.partial(switched_conv, implementation='pallas')
            return jax.vmap(jax.checkpoint(call), (0, 0, of_kernels))(x, selector, kernel)

        names = {module.name for module in triton_modules(self.lower(convolve), PREFIX)}
        assert {'forward', 'masked', 'weight', 'count'} <= names

    @pytest.mark.parametrize(
        ('asked', 'default', 'expected'),
        [(None, None, 'tf32'), ('highest', None, 'ieee'), (None, 'highest', 'ieee')],
    )
    def test_float32_is_rounded_unless_highest_is_asked_for(self, asked, default, expected):
        with jax.default_matmul_precision(default):
            lowered = self.lower(
                lambda _, *args: switched_conv(*args, implementation='pallas', precision=asked)
            )
        products = [m for m in triton_modules(lowered, PREFIX) if m.name in PRODUCTS]
        assert {module.name for module in products} == {'forward', 'masked', 'weight'}
        for module in products:
            precisions = set(re.findall(r'inputPrecision = (\w+)', module.text)) or {'ieee'}
            assert precisions == {expected}
