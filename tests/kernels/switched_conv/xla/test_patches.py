import jax
import jax.numpy as jnp
import numpy as np
from sr_jax.kernels.switched_conv.xla.patches import add_lines, add_taps, cut_patches, fence

SIZE, LINE, CHANNELS = 3, 12, 2  # of images six pixels wide


def test_patches_are_cut_out_line_by_line():
    flat = np.arange(4 * LINE, dtype=np.float32)
    starts = np.array([[0, 2, 18]], np.int32)
    patches = cut_patches(jnp.asarray(flat), jnp.asarray(starts), SIZE, LINE, CHANNELS)
    for patch, start in zip(patches[0], starts[0], strict=True):
        for row in range(SIZE):
            begin = start + row * LINE
            np.testing.assert_array_equal(patch[row], flat[begin : begin + SIZE * CHANNELS])


def test_patches_past_the_end_come_from_the_last_place():
    flat = jnp.arange(4 * LINE, dtype=jnp.float32)
    starts = jnp.array([[4 * LINE, LINE + LINE - SIZE * CHANNELS]], jnp.int32)
    past, last = cut_patches(flat, starts, SIZE, LINE, CHANNELS)[0]
    np.testing.assert_array_equal(past, last)


def test_a_fence_gives_zeros_where_nothing_is_needed():
    def halves(x):
        return x / 2, x.astype(jnp.int32)

    fenced = jax.jit(lambda needed, x: fence(needed, halves, x))
    x = jnp.array([2.0, 4.0])
    for needed in (True, False):
        for ours, plain in zip(fenced(needed, x), halves(x), strict=True):
            assert ours.dtype == plain.dtype
            np.testing.assert_array_equal(ours, plain if needed else jnp.zeros_like(plain))


def test_both_ways_to_add_patches_up_are_the_same():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=4 * LINE).astype(np.float32)
    # Some overlap, and one is past the end.
    starts = np.array([[0, 2, 4], [2, 14, len(flat)]], np.int32)
    patches = rng.normal(size=(*starts.shape, SIZE, SIZE, CHANNELS)).astype(np.float32)
    expected = flat.copy()
    for (*which, row, column, channel), value in np.ndenumerate(patches):
        index = starts[tuple(which)] + row * LINE + column * CHANNELS + channel
        if starts[tuple(which)] < len(flat):
            expected[index] += value
    for add in (add_lines, add_taps):
        actual = add(jnp.asarray(flat), jnp.asarray(starts), jnp.asarray(patches), LINE)
        np.testing.assert_allclose(actual, expected, atol=1e-6)
