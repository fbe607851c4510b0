import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.losses import frequency, pixel

# Each as one program: outside of `jit` every operation is one.
focal_frequency = jax.jit(frequency.focal_frequency, static_argnums=2)
STATIC = ('levels', 'criterion', 'approximation_weight')
wavelet = jax.jit(frequency.wavelet, static_argnames=STATIC)
haar = jax.jit(frequency.haar)
RNG = np.random.default_rng(0)
X, Y = (jnp.array(RNG.random((2, 4, 8, 3)), jnp.float32) for _ in range(2))


def fourier_matrix(size):
    """The orthonormal Fourier transform of a line, from its definition."""
    k = np.arange(size)
    return np.exp(-2j * np.pi * np.outer(k, k) / size) / np.sqrt(size)


@pytest.mark.parametrize('alpha', [0.5, 1.0, 2.0])
def test_focal_frequency_against_its_definition(alpha):
    total = 0
    for image in np.asarray(X - Y, np.float64):
        for channel in np.moveaxis(image, -1, 0):
            distance = np.abs(fourier_matrix(4) @ channel @ fourier_matrix(8).T)
            total += np.mean((distance / distance.max()) ** alpha * distance**2)
    np.testing.assert_allclose(focal_frequency(X, Y, alpha), total / 6, rtol=1e-5)


def test_focal_frequency_with_even_weights_is_l2():
    np.testing.assert_allclose(focal_frequency(X, Y, 0.0), pixel.l2(X, Y), rtol=1e-5)
    ours = jax.grad(focal_frequency)(X, Y, 0.0)
    np.testing.assert_allclose(ours, jax.grad(pixel.l2)(X, Y), rtol=1e-4, atol=1e-7)


def test_the_weights_have_no_gradient():
    """Of one single frequency the weight is 1, so that the gradient is that of l2."""
    wave = jnp.cos(2 * np.pi * jnp.arange(8.0) / 4)[None, None, :, None]
    wave = jnp.broadcast_to(wave, (1, 4, 8, 1))
    gradient = jax.grad(focal_frequency)(wave, jnp.zeros_like(wave))
    np.testing.assert_allclose(gradient, wave / 16, atol=1e-6)


def test_equal_images_have_no_loss_and_no_gradient():
    for alpha in (0.0, 0.5, 1.0):
        loss, gradient = jax.value_and_grad(focal_frequency)(X, X, alpha)
        assert loss == 0
        np.testing.assert_array_equal(gradient, 0 * X)
    assert wavelet(X, X, levels=2) == 0


def test_haar_of_a_block_by_hand_and_it_keeps_the_energy():
    block = jnp.array([[1.0, 2.0], [3.0, 5.0]])[None, :, :, None]
    approximation, details = haar(block)
    np.testing.assert_allclose(approximation.ravel(), [5.5])
    np.testing.assert_allclose(details.ravel(), [-1.5, -2.5, 0.5])
    approximation, details = haar(X)
    assert approximation.shape == (2, 2, 4, 3) and details.shape == (2, 2, 4, 3, 3)
    energy = jnp.sum(approximation**2) + jnp.sum(details**2)
    np.testing.assert_allclose(energy, jnp.sum(X**2), rtol=1e-5)


@pytest.mark.parametrize('criterion', ['l1', 'l2'])
def test_wavelet_adds_up_its_levels(criterion):
    compare = pixel.find_criterion(criterion)
    (x1, dx1), (y1, dy1) = haar(X), haar(Y)
    (x2, dx2), (y2, dy2) = haar(x1), haar(y1)
    expected = compare(dx1, dy1) + compare(dx2, dy2) + 0.25 * compare(x2, y2)
    ours = wavelet(X, Y, 2, criterion, approximation_weight=0.25)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_only_the_approximation_sees_a_shift_in_brightness():
    assert wavelet(X, X + 0.5, 2, approximation_weight=0.0) < 1e-6
    np.testing.assert_allclose(wavelet(X, X + 0.5, 2), 0.5 * 4, rtol=1e-5)
    gradient = jax.grad(wavelet)(X, Y, 2, 'l2', 1.0)
    assert np.abs(gradient).min() > 0


def test_half_precision_is_computed_in_float32():
    x, y = X.astype(jnp.bfloat16), Y.astype(jnp.bfloat16)
    for loss in (focal_frequency, wavelet):
        assert loss(x, y) == loss(x.astype(jnp.float32), y.astype(jnp.float32))


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match='4x8 pixels have no 3 levels'):
        wavelet(X, Y, 3)
    with pytest.raises(ValueError, match='no 0 levels'):
        wavelet(X, Y, 0)
    with pytest.raises(ValueError, match='3x8'):
        haar(X[:, :3])
    with pytest.raises(ValueError, match='compared'):
        wavelet(X, Y[:1])
    with pytest.raises(ValueError, match='compared'):
        focal_frequency(X, Y[:1])
    with pytest.raises(ValueError, match='alpha'):
        focal_frequency(X, Y, -1.0)
    with pytest.raises(InputError, match="'l7'"):
        wavelet(X, Y, 1, 'l7')
