import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.losses import gradient_penalty as penalties

X = jnp.array(np.random.default_rng(0).random((5, 2, 4, 3)), jnp.float32)
W = jnp.array(np.random.default_rng(1).standard_normal((2, 4, 3)), jnp.float32)


def linear(weight):
    """A discriminator whose gradient is its weight, times two: it gives two logits an image."""

    def discriminator(x):
        logit = jnp.sum(x * weight[None], axis=(1, 2, 3))
        return jnp.stack([logit, logit + 1], axis=1)

    return discriminator


def square(x):
    return jnp.sum(x**2, axis=(1, 2, 3)) / 2


def test_of_a_linear_discriminator():
    norm = 2 * np.linalg.norm(W)
    np.testing.assert_allclose(penalties.r1(linear(W), X), norm**2, rtol=1e-6)
    penalty = penalties.gradient_penalty(linear(W), X)
    np.testing.assert_allclose(penalty, (norm - 1) ** 2, rtol=1e-5)


def test_of_a_discriminator_whose_gradient_is_its_image():
    norms = np.linalg.norm(X.reshape(5, -1), axis=1)
    np.testing.assert_allclose(penalties.r1(square, X), (norms**2).mean(), rtol=1e-6)
    penalty = penalties.gradient_penalty(square, X)
    np.testing.assert_allclose(penalty, ((norms - 1) ** 2).mean(), rtol=1e-5)


def test_gradients_reach_the_parameters():
    r1 = jax.grad(lambda w: penalties.r1(linear(w), X))(W)
    np.testing.assert_allclose(r1, 8 * W, rtol=1e-5)
    norm = np.linalg.norm(W)
    penalty = jax.jit(jax.grad(lambda w: penalties.gradient_penalty(linear(w), X)))(W)
    np.testing.assert_allclose(penalty, 4 * (2 * norm - 1) * W / norm, rtol=1e-5)


def test_a_vanishing_gradient_does_no_harm():
    value, gradient = jax.value_and_grad(lambda w: penalties.gradient_penalty(linear(w), X))(0 * W)
    assert value == 1
    np.testing.assert_array_equal(gradient, 0 * W)


def test_half_precision_goes_in_as_float32():
    seen = []

    def discriminator(x):
        seen.append(x.dtype)
        return square(x).astype(jnp.bfloat16)

    value = penalties.r1(discriminator, X.astype(jnp.bfloat16))
    assert value.dtype == jnp.float32 and seen == [jnp.float32]
    np.testing.assert_allclose(value, penalties.r1(square, X), rtol=1e-2)


def test_interpolated_images_lie_on_the_lines_one_draw_an_image():
    real, fake = jnp.zeros((64, 2, 3, 1)), jnp.ones((64, 2, 3, 1))
    between = penalties.interpolate(real, fake, jax.random.key(0))
    shares = np.unique(between.reshape(64, 6), axis=1)
    assert shares.shape == (64, 1)
    assert 0 <= shares.min() < 0.1 and 0.9 < shares.max() <= 1
    assert len(np.unique(shares)) == 64
    with pytest.raises(ValueError, match='real images are'):
        penalties.interpolate(real, fake[:1], jax.random.key(0))


def test_no_gradient_goes_back_through_interpolated_images():
    def penalty(fake):
        between = penalties.interpolate(X, fake, jax.random.key(0))
        return penalties.gradient_penalty(square, between)

    np.testing.assert_array_equal(jax.grad(penalty)(X + 1), 0 * X)
