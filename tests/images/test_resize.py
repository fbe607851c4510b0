import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.images.resize import cubic_matrix, imresize, resize_nearest, resized_side

SCALES = {
    **{f'down{k}': 1 / k for k in (2, 3, 4)},
    **{f'up{k}': k for k in (2, 3, 4)},
    **{'s0.7': 0.7, 's1.5': 1.5, 's0.7_noaa': 0.7},
}


def keys_kernel(t):
    """Keys' cubic with a = -1/2, in the form of his paper's equation 15."""
    t = abs(t)
    if t < 1:
        return 3 / 2 * t**3 - 5 / 2 * t**2 + 1
    return -1 / 2 * t**3 + 5 / 2 * t**2 - 4 * t + 2 if t < 2 else 0.0


def test_it_agrees_with_basicsr(golden):
    arrays = golden('metric_imresize')
    compared, resize = 0, jax.jit(imresize, static_argnums=(1, 2))
    for name, theirs in arrays.items():
        image, _, tag = name.partition('/out/')
        if not tag:
            continue
        x = arrays[f'{image}/in/x']
        if x.ndim == 2:
            x, theirs = x[..., None], theirs[..., None]
        ours = resize(x, SCALES[tag], 'noaa' not in tag)
        assert ours.shape == theirs.shape, name
        np.testing.assert_allclose(ours, theirs, atol=4e-6, err_msg=name)
        compared += 1
    assert compared == 19


@settings(max_examples=40)
@given(
    side=st.integers(1, 12),
    scale=st.floats(0.15, 4.5),
    antialias=st.booleans(),
)
def test_the_matrix_against_its_definition(side, scale, antialias):
    matrix = cubic_matrix(side, scale, antialias)
    squeeze = min(scale, 1) if antialias else 1
    mirror = [*range(side), *reversed(range(side))]
    for i, row in enumerate(matrix):
        place = (i + 0.5) / scale - 0.5
        wanted = np.zeros(side)
        for j in range(int(place) - 20, int(place) + 21):  # far beyond the kernel
            wanted[mirror[j % (2 * side)]] += keys_kernel(squeeze * (place - j))
        np.testing.assert_allclose(row, wanted / wanted.sum(), atol=1e-9)


@pytest.mark.parametrize('scale', [1 / 4, 1 / 3, 0.7, 1.5, 2, 4])
def test_even_images_stay_even_and_scale_1_changes_nothing(scale):
    np.testing.assert_allclose(imresize(jnp.ones((2, 9, 12, 3)), scale), 1, rtol=1e-6)
    x = jnp.array(np.random.default_rng(0).random((9, 12, 3)), jnp.float32)
    np.testing.assert_allclose(imresize(x, 1), x, rtol=1e-6)


def test_a_quadratic_is_enlarged_exactly_inside():
    """Cubic convolution reproduces polynomials up to degree 2."""
    line = jnp.arange(12.0) ** 2
    ours = imresize(jnp.broadcast_to(line[None, :, None], (4, 12, 1)), 2)[4, :, 0]
    places = (np.arange(24) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(ours[4:-4], places[4:-4] ** 2, rtol=1e-5)


def test_it_can_leave_the_range_and_clips_nothing():
    step = jnp.broadcast_to((jnp.arange(8) >= 4)[None, :, None] * 1.0, (6, 8, 1))
    enlarged = imresize(step, 4)
    assert enlarged.min() < -0.01 and enlarged.max() > 1.01


def test_its_gradient_is_its_transpose_also_in_jit():
    rng = np.random.default_rng(0)
    x, cotangent = rng.random((6, 9, 1)), rng.random((3, 5, 1))
    _, pull_back = jax.vjp(jax.jit(lambda x: imresize(x, 0.5)), jnp.array(x, jnp.float32))
    (gradient,) = pull_back(jnp.array(cotangent, jnp.float32))
    wanted = cubic_matrix(6, 0.5).T @ cotangent[..., 0] @ cubic_matrix(9, 0.5)
    np.testing.assert_allclose(gradient[..., 0], wanted, rtol=1e-5, atol=1e-6)


def test_half_precision_is_computed_in_float32():
    x = jnp.array(np.random.default_rng(0).random((2, 6, 8, 3)), jnp.bfloat16)
    ours = imresize(x, 0.5)
    assert ours.dtype == jnp.float32
    np.testing.assert_array_equal(ours, imresize(x.astype(jnp.float32), 0.5))


def test_sides_are_rounded_up_but_not_by_rounding_errors():
    assert [resized_side(side, 1 / 3) for side in (9, 10, 12)] == [3, 4, 4]
    assert 100 * 1.1 > 110 and resized_side(100, 1.1) == 110
    assert resized_side(1, 0.1) == 1


@pytest.mark.parametrize('scale', [0, -1.0, float('inf'), float('nan')])
def test_scales_must_be_positive_and_finite(scale):
    with pytest.raises(ValueError, match='positive and finite'):
        imresize(jnp.ones((4, 4, 1)), scale)


def test_the_matrix_is_kept_and_cannot_be_spoilt():
    assert cubic_matrix(8, 0.5) is cubic_matrix(8, 0.5)
    with pytest.raises(ValueError, match='read-only'):
        cubic_matrix(8, 0.5)[0, 0] = 1


def test_nearest_takes_the_floor():
    x = jnp.arange(35.0).reshape(1, 5, 7, 1)
    ours = resize_nearest(x, 3, 14)[0, :, :, 0]
    rows, columns = [0, 1, 3], [j // 2 for j in range(14)]
    np.testing.assert_array_equal(ours, x[0, :, :, 0][jnp.array(rows)][:, jnp.array(columns)])
    with pytest.raises(ValueError, match='no images of 4x0'):
        resize_nearest(x, 0, 4)
