import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sr_jax.errors import InputError
from sr_jax.losses import pixel

X = jnp.array([[1.0, 2.0], [0.0, -1.0]])
Y = jnp.array([[0.0, 2.0], [2.0, -1.0]])


def test_l1_is_the_mean_difference_with_its_gradient():
    assert pixel.l1(X, Y) == 3 / 4
    np.testing.assert_allclose(jax.grad(pixel.l1)(X, Y), [[0.25, 0], [-0.25, 0]])


def test_l2_is_the_mean_square_with_its_gradient():
    np.testing.assert_allclose(pixel.l2(X, Y), 5 / 4)
    np.testing.assert_allclose(jax.grad(pixel.l2)(X, Y), (X - Y) / 2)


def test_charbonnier_is_between_l1_and_l1_plus_epsilon():
    expected = (np.sqrt(1.25) + 2 * 0.5 + np.sqrt(4.25)) / 4
    np.testing.assert_allclose(pixel.charbonnier(X, Y, 0.5), expected, rtol=1e-6)
    np.testing.assert_allclose(pixel.charbonnier(X, X), 1e-3, rtol=1e-6)
    gradient = jax.grad(pixel.charbonnier)(X, Y, 0.5)
    wanted = [[0.25 / np.sqrt(1.25), 0], [-0.5 / np.sqrt(4.25), 0]]
    np.testing.assert_allclose(gradient, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match='positive, not 0'):
        pixel.charbonnier(X, Y, 0.0)


@pytest.mark.parametrize('name', ['l1', 'l2', 'charbonnier'])
def test_half_precision_is_summed_in_float32(name):
    x = jnp.full((2, 4096), 1.0078125, jnp.bfloat16)  # whose sum bfloat16 cannot hold
    loss = pixel.find_criterion(name)(x, jnp.zeros_like(x))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, 1.0078125**2 if name == 'l2' else 1.0078125, rtol=1e-6)


@pytest.mark.parametrize('name', ['l1', 'l2', 'charbonnier'])
def test_nothing_is_broadcast(name):
    with pytest.raises(ValueError, match=r'\(2, 2\) cannot be compared with \(2, 1\)'):
        pixel.find_criterion(name)(X, Y[:, :1])


def test_a_criterion_has_a_name():
    assert pixel.find_criterion('l1') is pixel.l1
    with pytest.raises(InputError, match="no such criterion: 'charbonier'; did you mean 'charb"):
        pixel.find_criterion('charbonier')


@hypothesis.settings(max_examples=20)
@hypothesis.given(hnp.arrays(np.float32, (2, 3, 4, 2), elements=st.floats(0, 1, width=32)))
def test_total_variation_against_loops(image):
    down = [abs(image[:, i + 1] - image[:, i]).mean() for i in range(2)]
    across = [abs(image[:, :, j + 1] - image[:, :, j]).mean() for j in range(3)]
    expected = np.mean(down) + np.mean(across)
    np.testing.assert_allclose(pixel.total_variation(jnp.array(image)), expected, atol=1e-6)


def test_total_variation_of_known_images():
    chequered = jnp.array(np.indices((4, 6)).sum(0) % 2, jnp.bfloat16)[None, :, :, None]
    variation = pixel.total_variation(chequered)
    assert variation == 2 and variation.dtype == jnp.float32
    ramp = jnp.broadcast_to(jnp.arange(5.0)[None, None, :, None], (1, 3, 5, 2))
    assert pixel.total_variation(ramp) == 1
    gradient = jax.grad(pixel.total_variation)(ramp)
    np.testing.assert_allclose(gradient[0, :, 0], -1 / 24)
    np.testing.assert_allclose(gradient[0, :, 1:-1], 0)
    np.testing.assert_allclose(gradient[0, :, -1], 1 / 24)


def test_total_variation_needs_two_pixels_a_side():
    with pytest.raises(ValueError, match='two pixels a side'):
        pixel.total_variation(jnp.ones((1, 1, 4, 3)))
