import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.losses import adversarial

# Each as one program: outside of `jit` every operation is one.
discriminator_loss = jax.jit(adversarial.discriminator_loss, static_argnames='kind')
generator_loss = jax.jit(adversarial.generator_loss, static_argnames='kind')
relativistic_discriminator_loss = jax.jit(
    adversarial.relativistic_discriminator_loss, static_argnames=('kind', 'detach_average')
)
relativistic_generator_loss = jax.jit(
    adversarial.relativistic_generator_loss, static_argnames='kind'
)
REAL = np.array([[0.5, -2.0], [3.0, 0.0]], np.float32)
FAKE = np.array([[-1.5, 0.25], [2.0, -4.0]], np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


# By hand, from the formulas of the papers.
DISCRIMINATOR = {
    'vanilla': -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean(),
    'least_squares': (0.25 + 9 + 4 + 1) / 8 + (2.25 + 0.0625 + 4 + 16) / 8,
    'hinge': (0.5 + 3 + 0 + 1) / 4 + (0 + 1.25 + 3 + 0) / 4,
    'wasserstein': -3.25 / 4 - 1.5 / 4,
}
GENERATOR = {
    'vanilla': -np.log(sigmoid(FAKE)).mean(),
    'least_squares': (6.25 + 0.5625 + 1 + 25) / 8,
    'hinge': 3.25 / 4,
    'wasserstein': 3.25 / 4,
}
RELATIVE_REAL, RELATIVE_FAKE = REAL - FAKE.mean(), FAKE - REAL.mean()


def relativistic(high, low):
    """The value of the paper's formula over its two terms, halved."""
    return (high(RELATIVE_REAL).mean() + low(RELATIVE_FAKE).mean()) / 2


RELATIVISTIC = {
    'vanilla': (lambda x: -np.log(sigmoid(x)), lambda x: -np.log(1 - sigmoid(x))),
    'least_squares': (lambda x: (x - 1) ** 2, lambda x: (x + 1) ** 2),
    'hinge': (lambda x: np.maximum(0, 1 - x), lambda x: np.maximum(0, 1 + x)),
}


@pytest.mark.parametrize('kind', DISCRIMINATOR)
def test_values_by_hand(kind):
    ours = discriminator_loss(jnp.array(REAL), jnp.array(FAKE), kind)
    np.testing.assert_allclose(ours, DISCRIMINATOR[kind], rtol=1e-6)
    np.testing.assert_allclose(
        generator_loss(jnp.array(FAKE), kind), GENERATOR[kind], rtol=1e-6
    )


@pytest.mark.parametrize('kind', RELATIVISTIC)
def test_relativistic_values_by_hand(kind):
    high, low = RELATIVISTIC[kind]
    real, fake = jnp.array(REAL), jnp.array(FAKE)
    ours = relativistic_discriminator_loss(real, fake, kind)
    np.testing.assert_allclose(ours, relativistic(high, low), rtol=1e-6)
    ours = relativistic_generator_loss(real, fake, kind)
    np.testing.assert_allclose(ours, relativistic(low, high), rtol=1e-6)


def test_relativistic_vanilla_agrees_with_basicsr(golden):
    arrays = golden('rrdb_ragan_loss')
    real, fake = jnp.array(arrays['in/d_real']), jnp.array(arrays['in/d_fake'])
    loss, gradient = jax.value_and_grad(relativistic_generator_loss, argnums=1)(
        real, fake
    )
    np.testing.assert_allclose(loss, arrays['out/g_loss'], rtol=1e-6)
    np.testing.assert_allclose(gradient, arrays['grad/g_loss/d_fake'], rtol=1e-5, atol=1e-8)
    ours = relativistic_discriminator_loss(real, fake)
    theirs = arrays['out/d_loss_real'] + arrays['out/d_loss_fake']
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_what_gradients_go_through_in_the_relativistic_losses():
    real, fake = jnp.array(REAL), jnp.array(FAKE)
    g_real = jax.grad(relativistic_generator_loss)(real, fake)
    np.testing.assert_array_equal(g_real, np.zeros((2, 2)))
    loss = relativistic_discriminator_loss
    d_real, d_fake = jax.grad(loss, argnums=(0, 1))(real, fake)
    own_real, own_fake = -sigmoid(-RELATIVE_REAL) / 8, sigmoid(RELATIVE_FAKE) / 8
    np.testing.assert_allclose(d_real, own_real, rtol=1e-5)
    np.testing.assert_allclose(d_fake, own_fake, rtol=1e-5)
    d_real, d_fake = jax.grad(loss, argnums=(0, 1))(real, fake, 'vanilla', False)
    np.testing.assert_allclose(d_real, own_real - own_fake.mean(), rtol=1e-5)
    np.testing.assert_allclose(d_fake, own_fake - own_real.mean(), rtol=1e-5)


@pytest.mark.parametrize('kind', DISCRIMINATOR)
def test_gradients_push_real_up_and_fake_down_and_the_generator_the_other_way(kind):
    real, fake = jnp.zeros((3, 1)), jnp.zeros((3, 1)) + 0.5
    d_real, d_fake = jax.grad(discriminator_loss, argnums=(0, 1))(real, fake, kind)
    assert (d_real < 0).all() and (d_fake > 0).all()
    assert (jax.grad(generator_loss)(fake, kind) < 0).all()


@pytest.mark.parametrize('sign', [-1, 1])
def test_large_logits_stay_finite(sign):
    logits = jnp.full((2, 1), sign * 1e4)
    loss, gradient = jax.value_and_grad(discriminator_loss)(logits, -logits)
    assert loss == (0 if sign > 0 else 2e4)
    assert np.isfinite(gradient).all()
    assert generator_loss(logits) == (0 if sign > 0 else 1e4)


def test_half_precision_is_averaged_in_float32():
    real = jnp.full((4097, 1), 1.0, jnp.bfloat16)
    fake = jnp.zeros((4097, 1), jnp.bfloat16)
    for loss in (
        discriminator_loss(real, fake, 'wasserstein'),
        generator_loss(real, 'hinge'),
        relativistic_generator_loss(-real, fake - 1, 'hinge') - 2,
    ):
        assert loss.dtype == jnp.float32
        assert loss == -1


def test_an_unknown_kind_is_named_with_the_nearest():
    logits = jnp.zeros((1, 1))
    with pytest.raises(InputError, match="'hing'; did you mean 'hinge'"):
        discriminator_loss(logits, logits, 'hing')
    with pytest.raises(InputError, match="'wasserstein'"):
        relativistic_generator_loss(logits, logits, 'wasserstein')
