import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.losses import pixel
from sr_jax.losses.perceptual import gram, perceptual_loss

RNG = np.random.default_rng(0)
X, Y = (jnp.array(RNG.random((2, 3, 4, 3)), jnp.float32) for _ in range(2))


def features(x):
    """A network of two layers, the second of half size."""
    return {'conv1_1': 2 * x, 'conv1_2': x[:, ::2, ::2, :2] ** 2}


@pytest.mark.parametrize('criterion', ['l1', 'l2'])
def test_it_is_the_weighted_sum_over_the_layers(criterion):
    compare = pixel.find_criterion(criterion)
    ours = perceptual_loss(features, X, Y, {'conv1_2': 0.5, 'conv1_1': 3.0}, criterion)
    second = compare(X[:, ::2, ::2, :2] ** 2, Y[:, ::2, ::2, :2] ** 2)
    np.testing.assert_allclose(ours, 3 * compare(2 * X, 2 * Y) + 0.5 * second, rtol=1e-6)


def test_the_style_term_compares_gram_matrices():
    weights = {'conv1_1': 2.0}
    without = perceptual_loss(features, X, Y, weights, 'l2')
    ours = perceptual_loss(features, X, Y, weights, 'l2', style_weight=10.0) - without
    grams = [
        sum(np.outer(p, p) for p in 2 * np.asarray(z, np.float64).reshape(-1, 3)) / (3 * 4 * 3)
        for z in (*X, *Y)
    ]
    expected = 20 * np.mean([(grams[0] - grams[2]) ** 2, (grams[1] - grams[3]) ** 2])
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_style_does_not_see_where_things_are():
    weights = {'conv1_1': 1.0}
    mirrored = X[:, :, ::-1]
    plain = perceptual_loss(features, X, mirrored, weights)
    styled = perceptual_loss(features, X, mirrored, weights, style_weight=100.0)
    assert plain > 0.1
    np.testing.assert_allclose(styled, plain, rtol=1e-4)


def test_gradient_goes_to_the_prediction_alone():
    def loss(x, y, scale):
        def scale_features(z):
            return {'conv1_1': scale * z}

        return perceptual_loss(scale_features, x, y, {'conv1_1': 1.0}, 'l2', style_weight=1.0)

    to_x, to_y, to_scale = jax.grad(loss, argnums=(0, 1, 2))(X, Y, 2.0)
    assert np.abs(to_x).min() > 0
    np.testing.assert_array_equal(to_y, 0 * Y)
    through_prediction = jnp.sum(to_x * X) / 2  # the loss knows scale * x only, on that side
    np.testing.assert_allclose(to_scale, through_prediction, rtol=1e-5)


def test_equal_images_have_no_loss_and_a_finite_gradient():
    loss, gradient = jax.value_and_grad(perceptual_loss, argnums=1)(
        features, X, X, {'conv1_1': 1.0, 'conv1_2': 1.0}, 'l1', 1.0
    )
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0 * X)


def test_half_precision_is_compared_in_float32():
    assert gram(X.astype(jnp.bfloat16)).dtype == jnp.float32
    ones = jnp.ones((1, 64, 64, 1), jnp.bfloat16)
    assert gram(ones) == 1  # bfloat16 counts to 256
    loss = perceptual_loss(lambda x: {'a': x}, ones, 0 * ones, {'a': 1.0}, style_weight=1.0)
    assert loss.dtype == jnp.float32 and loss == 2


def test_what_cannot_be_is_named():
    with pytest.raises(InputError, match="no layer 'conv1_3'; did you mean 'conv1_"):
        perceptual_loss(features, X, Y, {'conv1_3': 1.0})
    with pytest.raises(InputError, match='no weights; layers: conv1_1, conv1_2'):
        perceptual_loss(features, X, Y, {})
    with pytest.raises(InputError, match="'sine'"):
        perceptual_loss(features, X, Y, {'conv1_1': 1.0}, 'sine')
