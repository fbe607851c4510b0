import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from parity import nhwc

from sr_jax.errors import InputError
from sr_jax.images.resize import resize_nearest
from sr_jax.losses import translational
from sr_jax.losses.translational import (
    CORNERS,
    CropPair,
    corner_crops,
    corner_pair,
    crop,
    random_crops,
    shared_region,
    translational_loss,
)

IMAGES = np.arange(2 * 10 * 12, dtype=np.float32).reshape(2, 10, 12, 1)  # all differ


def network(params, x):
    """The fixtures' generator, from PyTorch's names and layouts."""
    for layer in ('0', '2'):
        kernel = jnp.array(params[f'{layer}.weight']).transpose(2, 3, 1, 0)
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        x = x + params[f'{layer}.bias'][None, None, None]
        x = jax.nn.relu(x) if layer == '0' else x
    return x


@pytest.mark.parametrize('detach', [True, False])
@pytest.mark.parametrize('criterion', ['l1', 'l2'])
def test_values_and_gradients_agree_with_dl_art_school(golden, criterion, detach):
    arrays = golden(f'extra_translational_loss_{criterion}_{"detach" if detach else "nodetach"}')
    images = nhwc(arrays['in/image'])
    params = {
        name.removeprefix('param/'): jnp.array(value)
        for name, value in arrays.items()
        if name.startswith('param/')
    }

    @jax.jit
    def loss(params, second):
        pair = corner_pair(0, second, 18, 18, size=12)
        assert pair.overlap == (6, 6)

        def apply(x):
            return network(params, x)

        first = apply(crop(images, pair.first, 12))
        return translational_loss(apply, images, first, pair, 1, criterion, detach)

    step = jax.jit(jax.value_and_grad(loss))
    for name in CORNERS[1:]:
        value, gradients = step(params, CORNERS.index(name))
        np.testing.assert_allclose(value, arrays[f'out/loss_{name}'], rtol=1e-5)
        for key, gradient in gradients.items():
            wanted = arrays[f'grad/{name}/param/{key}']
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(gradient, wanted, rtol=1e-3, atol=1e-5 * scale)


def test_the_crops_are_those_of_dl_art_schools_injector(golden):
    arrays = golden('extra_image_patch_injector')
    x = nhwc(arrays['in/x'])
    for index, name in enumerate(CORNERS):
        pair = corner_pair(index, 0, 18, 18, size=12)
        patch = crop(x, pair.first, 12)
        np.testing.assert_array_equal(patch, nhwc(arrays[f'out/p_{name}']))
        if name == 'top_left':
            np.testing.assert_array_equal(patch[..., :3], nhwc(arrays['out/p']))
        if name == 'bottom_left':
            small = nhwc(arrays['out_resize7/p_bottom_left'])
            np.testing.assert_array_equal(resize_nearest(patch, 7, 7), small)


@jax.jit
def cut_regions(images, pair):
    """The shared region as each crop of a pair has it."""
    return [
        shared_region(crop(images, position, pair.size), position, pair)
        for position in (pair.first, pair.second)
    ]


def check_pair(pair, height, width):
    """A pair's crops lie in the image, its region in both, and the cuts show the same pixels."""
    images = IMAGES[:, :height, :width]
    regions = cut_regions(images, pair)
    pair = jax.tree.map(np.asarray, pair)
    for position in (pair.first, pair.second):
        assert (position >= 0).all()
        assert (position + pair.size <= np.array([height, width])).all()
        assert (pair.region >= position).all()
        assert (pair.region + np.array(pair.overlap) <= position + pair.size).all()
    top, left = pair.region
    wanted = images[:, top : top + pair.overlap[0], left : left + pair.overlap[1]]
    assert wanted.shape[1:3] == pair.overlap
    np.testing.assert_array_equal(regions[0], wanted)
    np.testing.assert_array_equal(regions[1], wanted)


@hypothesis.settings(max_examples=6)
@hypothesis.given(
    height=st.integers(4, 10), width=st.integers(4, 12), data=st.data(), seed=st.integers(0, 99)
)
def test_pairs_of_any_size_share_their_region(height, width, data, seed):
    key = jax.random.key(seed)
    shorter, longer = sorted((height, width))
    if longer // 2 < shorter:
        size = data.draw(st.integers(longer // 2 + 1, shorter))
        check_pair(corner_crops(key, height, width, size), height, width)
    size = data.draw(st.integers(1, shorter))
    overlap = data.draw(st.integers(1, size))
    check_pair(random_crops(key, height, width, size, overlap), height, width)


def draw_many(draw, count):
    pairs = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), count))
    return np.concatenate([pairs.first, pairs.second], axis=1)


def test_all_pairs_of_different_corners_are_drawn_alike():
    drawn = draw_many(lambda key: corner_crops(key, 10, 12, 8), 1200)
    pairs, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(pairs) == 12
    assert not (pairs[:, :2] == pairs[:, 2:]).all(axis=1).any()
    assert counts.min() > 60 and counts.max() < 140


def test_the_first_corner_can_be_given():
    drawn = draw_many(lambda key: corner_crops(key, 10, 12, 8, first='bottom_left'), 300)
    assert (drawn[:, :2] == [2, 0]).all()
    seconds, counts = np.unique(drawn[:, 2:], axis=0, return_counts=True)
    np.testing.assert_array_equal(seconds, [[0, 0], [0, 4], [2, 4]])
    assert counts.min() > 60


def test_random_crops_reach_every_position_and_stay_near_enough():
    drawn = draw_many(lambda key: random_crops(key, 10, 12, 4, overlap=2), 2000)
    assert {tuple(position) for position in drawn[:, :2]} == set(np.ndindex(7, 9))
    steps = drawn[:, 2:] - drawn[:, :2]
    assert {tuple(step) for step in steps + 2} == set(np.ndindex(5, 5))


def test_the_region_of_random_crops_lies_in_the_middle_of_what_they_share():
    draw = jax.jit(jax.vmap(lambda key: random_crops(key, 10, 12, 8, overlap=2)))
    pairs = jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(0), 50)))
    before = pairs.region - np.maximum(pairs.first, pairs.second)
    behind = np.minimum(pairs.first, pairs.second) + 8 - (pairs.region + 2)
    assert set(np.unique(behind - before)) == {0, 1}


def test_a_network_that_knows_no_position_loses_nothing_at_any_scale():
    def enlarge(x):
        return x.repeat(3, axis=1).repeat(3, axis=2) ** 2

    @jax.jit
    def loss(key):
        pair = random_crops(key, 10, 12, 6, overlap=3)
        first = enlarge(crop(IMAGES, pair.first, 6))
        return translational_loss(enlarge, IMAGES, first, pair, scale=3)

    assert loss(jax.random.key(1)) == 0


def test_one_that_knows_positions_loses():
    def add_bias(x):
        return x + jnp.arange(x.shape[2], dtype=jnp.float32)[None, None, :, None]

    pair = corner_pair(0, 3, 10, 12, size=8)
    first = add_bias(crop(IMAGES, pair.first, 8))
    assert translational_loss(add_bias, IMAGES, first, pair) == 4
    assert translational_loss(add_bias, IMAGES, first, pair, criterion='l2') == 16


def test_large_images_are_cut_where_small_ones_are():
    pair = corner_pair(3, 0, 10, 12, size=8)
    large = IMAGES.repeat(2, axis=1).repeat(2, axis=2)
    small = crop(IMAGES, pair.first, pair.size)
    wanted = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(crop(large, pair.first, pair.size, scale=2), wanted)


def test_a_pair_passes_through_jit():
    pair = jax.jit(lambda key: corner_crops(key, 10, 12, 8))(jax.random.key(0))
    assert isinstance(pair, CropPair) and pair.size == 8 and pair.overlap == (6, 4)


def test_half_precision_is_compared_in_float32():
    pair = corner_pair(0, 3, 10, 12, size=8)
    images = IMAGES.astype(jnp.bfloat16)
    first = crop(images, pair.first, 8) + 1
    loss = translational_loss(lambda x: x, images, first, pair)
    assert loss.dtype == jnp.float32


@pytest.mark.parametrize('size', [6, 11])
def test_corners_must_share_something_and_fit(size):
    with pytest.raises(InputError, match='give them 7 to 10'):
        corner_pair(0, 1, 10, 12, size)


@pytest.mark.parametrize(('size', 'overlap'), [(4, 0), (4, 5), (11, 4)])
def test_random_crops_must_share_something_and_fit(size, overlap):
    with pytest.raises(InputError, match='overlap <= size <= sides'):
        random_crops(jax.random.key(0), 10, 12, size, overlap)


def test_what_cannot_be_is_named():
    key = jax.random.key(0)
    with pytest.raises(InputError, match="'top'; did you mean 'top_"):
        corner_crops(key, 10, 12, 8, first='top')
    pair = translational.corner_pair(0, 1, 10, 12, 8)
    with pytest.raises(ValueError, match='16x16 pixels, not'):
        shared_region(IMAGES, pair.first, pair, scale=2)
    with pytest.raises(InputError, match="'l3'"):
        translational_loss(lambda x: x, IMAGES, IMAGES, pair, criterion='l3')
