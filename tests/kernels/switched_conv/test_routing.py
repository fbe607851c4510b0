import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType
from sr_jax.kernels.switched_conv import route

# As one program.
jitted_route = jax.jit(route, static_argnames=('breadth', 'block', 'groups', 'segment'))


@settings(max_examples=8)
@given(
    seed=st.integers(0, 99),
    breadth=st.sampled_from((1, 4, 9)),
    block=st.sampled_from((1, 4, 64)),
    segment=st.sampled_from((7, 100, 10000)),
)
def test_every_pixel_stands_once_in_a_block_of_its_kernel(seed, breadth, block, segment):
    selector = np.random.default_rng(seed).integers(0, breadth, (2, 9, 17)).astype(np.int32)
    routing = jitted_route(jnp.asarray(selector), breadth, block, 2, segment)
    rows, bands = routing.band_rows, routing.bands
    assert rows * 17 <= max(segment, 17)
    padded = np.full((2, bands * rows, 17), breadth)
    padded[:, :9] = selector
    groups, segments, count = routing.positions.shape
    flat = np.full((groups, segments * count), breadth)
    flat[:, : padded[0].size] = padded.reshape(2, -1)
    flat = flat.reshape(groups, segments, count)
    for group, segment in np.ndindex(groups, segments):
        ours = flat[group, segment]
        pixels = np.asarray(routing.pixels[group, segment])
        real = pixels < count
        assert sorted(pixels[real]) == list(np.flatnonzero(ours < breadth))
        kernels = np.broadcast_to(routing.kernels[group, segment][:, None], pixels.shape)
        np.testing.assert_array_equal(ours[pixels[real]], kernels[real])
        back = np.asarray(routing.positions[group, segment])
        known = ours < breadth
        np.testing.assert_array_equal(pixels.ravel()[back[known]], np.flatnonzero(known))
        assert (back[~known] == pixels.size).all()
        assert (np.diff(pixels.ravel()[real.ravel()][kernels[real] == ours[0]]) > 0).all()


def test_the_blocks_bound_the_filling_up():
    selector = jnp.asarray(np.random.default_rng(0).integers(0, 64, (4, 64, 64)), jnp.int32)
    routing = jitted_route(selector, 64, groups=1)
    assert routing.pixels.size <= 1.25 * selector.size


def test_groups_follow_the_devices():
    assert len(jax.devices()) == 8
    selector = jnp.zeros((12, 2, 3), jnp.int32)
    assert len(route(selector, 2).positions) == 4
    assert len(route(selector, 2, groups=3).positions) == 3
    with pytest.raises(ValueError, match='groups=5 does not divide the 12 images'):
        route(selector, 2, groups=5)
    with jax.set_mesh(jax.make_mesh((2,), ('data',), axis_types=(AxisType.Auto,))):
        assert jax.eval_shape(lambda s: route(s, 2), selector).positions.shape[0] == 2


def test_unknown_values_get_no_block():
    routing = route(jnp.asarray([[[0, -1, 2, 1]]], jnp.int32), 2, block=2)
    np.testing.assert_array_equal(routing.pixels[0, 0], [[0, 4], [3, 4], [4, 4]])
    size = routing.pixels[0, 0].size
    np.testing.assert_array_equal(routing.positions[0, 0], [0, size, size, 2])


@pytest.mark.parametrize(
    ('pixels', 'breadth', 'block'), [(2500, 5, 64), (90, 33, 8), (40_000, 3, 256)]
)
def test_both_counting_sorts_agree(pixels, breadth, block):
    rng = np.random.default_rng(pixels)
    selector = jnp.asarray(rng.integers(-1, breadth + 1, (3, 1, pixels)), jnp.int32)
    ours = route(selector, breadth, block, 1, pixels, implementation='triton_interpret')
    expected = route(selector, breadth, block, 1, pixels, implementation='xla')
    assert ours.positions.shape == (1, 3, pixels)
    for one, other in zip(ours.arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(one, other)
