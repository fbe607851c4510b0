import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.losses import gradient_map as maps

# Each as one program: outside of `jit` every operation is one.
gradient_map = jax.jit(maps.gradient_map, static_argnums=1)
gradient_map_loss = jax.jit(maps.gradient_map_loss, static_argnums=2)


@pytest.mark.parametrize(('name', 'padding'), [('nopad', 1), ('pad2', 2)])
def test_maps_and_their_gradients_agree_with_spsr(golden, name, padding):
    arrays = golden(f'extra_spsr_gradient_{name}')
    nhwc = {key: value.transpose(0, 2, 3, 1) for key, value in arrays.items() if value.ndim == 4}
    maps, pull_back = jax.vjp(lambda x: gradient_map(x, padding), jnp.array(nhwc['in/x']))
    np.testing.assert_allclose(maps, nhwc['out/y'], rtol=1e-5, atol=1e-6)
    (gradient,) = pull_back(jnp.array(nhwc['cotangent']))
    np.testing.assert_allclose(gradient, nhwc['grad/in/x'], rtol=1e-4, atol=1e-5)


def test_even_images_have_only_their_borders():
    maps = gradient_map(jnp.ones((1, 4, 5, 1), jnp.bfloat16))
    assert maps.dtype == jnp.float32
    np.testing.assert_allclose(maps[0, 1:-1, 1:-1], 1e-3, rtol=1e-6)
    np.testing.assert_allclose(maps[0, 0, 1:-1], np.sqrt(1 + 1e-6), rtol=1e-6)
    np.testing.assert_allclose(maps[0, 0, 0], np.sqrt(2 + 1e-6), rtol=1e-6)


def test_a_ramp_has_its_slope_over_two_pixels():
    ramp = jnp.broadcast_to(3.0 * jnp.arange(6.0)[None, :, None, None], (1, 6, 5, 1))
    np.testing.assert_allclose(gradient_map(ramp)[0, 1:-1, 1:-1], 6, rtol=1e-6)


@pytest.mark.parametrize(('criterion', 'power'), [('l1', 1), ('l2', 2)])
def test_the_loss_compares_the_maps(criterion, power):
    rng = np.random.default_rng(0)
    x, y = (jnp.array(rng.random((2, 4, 5, 3)), jnp.float32) for _ in range(2))
    expected = np.mean(np.abs(np.asarray(gradient_map(x) - gradient_map(y))) ** power)
    np.testing.assert_allclose(gradient_map_loss(x, y, criterion), expected, rtol=1e-5)
    assert gradient_map_loss(x, x, criterion) == 0
    assert gradient_map_loss(x, y) == gradient_map_loss(x, y, 'l2')
    gradient = jax.grad(gradient_map_loss)(x, x + 0.5)  # even a shift shows, at the borders
    assert np.abs(gradient).max() > 0 and np.isfinite(gradient).all()


def test_what_cannot_be_is_named():
    x = jnp.ones((1, 2, 2, 1))
    with pytest.raises(ValueError, match='1 or 2, not 0'):
        gradient_map(x, 0)
    with pytest.raises(InputError, match="'l3'"):
        gradient_map_loss(x, x, 'l3')
