import jax.numpy as jnp
import numpy as np
from sr_jax.kernels.switched_conv.blocked import add_at_once, add_tap_by_tap


def test_both_ways_to_add_patches_up_are_the_same():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(11, 3)).astype(np.float32)
    starts = np.array([[0, 1, 2], [5, 7, 11]], np.int32)
    taps = starts[..., None] + np.array([0, 1, 3], np.int32)  # some past the end
    patches = rng.normal(size=(*taps.shape, 3)).astype(np.float32)
    expected = flat.copy()
    for index in np.ndindex(taps.shape):
        if taps[index] < len(flat):
            expected[taps[index]] += patches[index]
    for add in (add_at_once, add_tap_by_tap):
        actual = add(jnp.asarray(flat), jnp.asarray(taps), jnp.asarray(patches))
        np.testing.assert_allclose(actual, expected, atol=1e-6)
