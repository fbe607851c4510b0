import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.losses.pixel_contrast import agreement, find_pairs

FIRST = np.float32([[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.5, 0.8], [0.0, 0.0, 0.2, 0.2]])
# The second one is mirrored; the third is far away from its other.
SECOND = np.float32([[0.1, 0.0, 0.6, 0.5], [0.6, 0.3, 0.2, 0.9], [0.7, 0.7, 1.0, 1.0]])
HEIGHT, WIDTH = 3, 4


def centers(corners):
    """Where the pixels of a view are: x, y."""
    left, top, right, bottom = map(float, corners)
    return [
        (left + (j + 0.5) * (right - left) / WIDTH, top + (i + 0.5) * (bottom - top) / HEIGHT)
        for i in range(HEIGHT)
        for j in range(WIDTH)
    ]


def diagonal(corners):
    return np.hypot((corners[2] - corners[0]) / WIDTH, (corners[3] - corners[1]) / HEIGHT)


def expected_pairs():
    found = np.zeros((3, 12, 12), bool)
    for n, (first, second) in enumerate(zip(FIRST, SECOND, strict=True)):
        reach = 0.7 * max(diagonal(first), diagonal(second))
        for i, a in enumerate(centers(first)):
            for j, b in enumerate(centers(second)):
                found[n, i, j] = np.hypot(a[0] - b[0], a[1] - b[1]) < reach
    return found


def test_pixels_that_are_near_are_pairs():
    find = jax.jit(find_pairs, static_argnums=(2, 3))
    found = np.asarray(find(FIRST, SECOND, HEIGHT, WIDTH))
    np.testing.assert_array_equal(found, expected_pairs())
    assert found[0].any() and found[1].any() and not found[2].any()


def test_the_agreement_is_the_mean_cosine_of_pairs():
    rng = np.random.default_rng(0)
    queries, keys = rng.standard_normal((2, 3, HEIGHT, WIDTH, 5)).astype(np.float32)
    pairs = expected_pairs()
    found = jax.jit(agreement)(queries, keys, jnp.asarray(pairs))
    products = np.einsum('nic,njc->nij', *(x.reshape(3, 12, 5) for x in (queries, keys)))
    expected = [products[n][pairs[n]].mean() for n in range(2)]
    np.testing.assert_allclose(found, [*expected, 0], rtol=1e-4)
