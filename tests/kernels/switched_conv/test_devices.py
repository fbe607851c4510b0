import functools

import jax
import pytest
from convolutions import OURS, RUNNABLE, assert_close, value_and_gradients
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from sr_jax.kernels.switched_conv import switched_conv
from sr_jax.kernels.switched_conv.cases import Case
from switched import arguments


class TestEightDevices:
    """A batch of 16 images split over all devices."""

    case = Case(16, 6, 5, 2, 4, breadth=7, size=3, stride=1)

    def mesh(self):
        return jax.make_mesh((8,), ('data',), axis_types=(AxisType.Auto,))

    @pytest.mark.parametrize('implementation', OURS)
    def test_sharded_jit_does_not_gather_the_batch(self, implementation):
        mesh = self.mesh()
        split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (('data',), ()))
        args = arguments(self.case)
        expected = value_and_gradients(*args, 1, 'reference')
        places = (split, split, whole, whole, split)
        step = jax.jit(
            functools.partial(value_and_gradients, stride=1, implementation=implementation),
            in_shardings=places,
            out_shardings=(split, split, whole, whole),
        )
        text = step.lower(*args).compile().as_text()
        assert 'all-reduce' in text
        for gathering in ('all-gather', 'all-to-all', 'collective-permute'):
            assert gathering not in text
        assert_close(step(*map(jax.device_put, args, places)), expected, 3e-6)

    def test_no_collective_inside_the_loops(self):
        mesh = self.mesh()
        split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (('data',), ()))
        step = jax.jit(
            functools.partial(value_and_gradients, stride=1, implementation='xla'),
            in_shardings=(split, split, whole, whole, split),
        )
        text = step.lower(*arguments(self.case)).compile().as_text()
        entry = text[text.index('ENTRY') :]
        assert text.count('all-reduce(') == entry.count('all-reduce(')

    @pytest.mark.parametrize('implementation', RUNNABLE)
    def test_shard_map(self, implementation):
        spec = PartitionSpec('data')
        args = arguments(self.case)
        x, selector, kernel, bias, cotangent = args

        @functools.partial(
            jax.shard_map,
            mesh=self.mesh(),
            in_specs=(spec, spec, PartitionSpec(), PartitionSpec()),
            out_specs=spec,
        )
        def convolve(x, selector, kernel, bias):
            return switched_conv(x, selector, kernel, bias, 1, implementation, precision='highest')

        def forward(x, kernel, bias):
            return convolve(x, selector, kernel, bias)

        y, pull_back = jax.vjp(jax.jit(forward), x, kernel, bias)
        expected = value_and_gradients(*args, 1, 'reference')
        assert_close((y, *pull_back(cotangent)), expected, 3e-6)
