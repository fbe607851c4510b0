"""Adaptive augmentation: nothing at p = 0, every change at 1, and how p is steered."""

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.tasks.shared import adaptive_augmentation as ada
from sr_jax.tasks.shared.adaptive_augmentation import Augmentation, Steering

RNG = np.random.default_rng(0)
IMAGES = RNG.random((5, 6, 9, 3), np.float32)


def keys(count):
    return jax.random.split(jax.random.key(0), count)


def test_nothing_happens_at_zero_and_much_at_one():
    augment = jax.jit(ada.augment)
    np.testing.assert_allclose(augment(IMAGES, jnp.float32(0), keys(5)), IMAGES, atol=1e-6)
    changed = augment(IMAGES, jnp.float32(1), keys(5))
    assert np.abs(changed - IMAGES).mean(axis=(1, 2, 3)).min() > 0.05
    half = augment(IMAGES, jnp.float32(1), keys(5)[::-1])
    assert np.abs(half - changed).max() > 0.1  # other keys, other changes


def test_places_are_mirrored_turned_and_shifted():
    sample = jax.jit(ada._sample)
    image = IMAGES[0]
    mirrored = sample(image, ada._affine(jnp.asarray([1.0, -1.0])))
    np.testing.assert_allclose(mirrored, image[:, ::-1], atol=1e-6)
    moved = sample(image, ada._shift(jnp.asarray([2.0, 0.0])))
    np.testing.assert_allclose(moved[:-2], image[2:], atol=1e-6)
    np.testing.assert_allclose(moved[-1], image[-3], atol=1e-6)  # beyond the edge, mirrored
    between = sample(image, ada._shift(jnp.asarray([0.0, 0.25])))
    expected = 0.75 * image[:, :-1] + 0.25 * image[:, 1:]
    np.testing.assert_allclose(between[:, :-1], expected, atol=1e-6)
    square = RNG.random((7, 7, 3), np.float32)
    turned = sample(square, ada._turn(jnp.float32(np.pi / 2)))
    np.testing.assert_allclose(turned, np.rot90(square, -1), atol=1e-5)


def test_colors_keep_or_mirror_gray_and_turn_around_it():
    draw = jax.jit(jax.vmap(ada._draw_colors, (0, None)))
    matrices = np.asarray(draw(keys(64), jnp.float32(1)))
    gray = np.ones(3) / np.sqrt(3)
    along = matrices[:, :3, :3] @ gray
    lengths = np.abs(along @ gray)
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), lengths, rtol=1e-4)
    assert {*np.sign(along @ gray)} == {-1, 1}
    assert 0.3 < np.std(np.log2(lengths)) < 0.7  # of contrast alone, 0.5
    offsets = matrices[:, :3, 3]
    np.testing.assert_allclose(offsets, offsets[:, :1].repeat(3, axis=1), atol=1e-4)


def test_each_kind_of_change_is_as_likely_as_asked():
    draw = jax.jit(jax.vmap(lambda key: ada._draw_colors(key, jnp.float32(0.2))))
    matrices = np.asarray(draw(keys(2000)))
    same = np.abs(matrices - np.eye(4)).max(axis=(1, 2)) < 1e-5
    # of five kinds, one of which does nothing in half of its cases
    np.testing.assert_allclose(same.mean(), 0.8**4 * 0.9, atol=0.04)


def test_a_gradient_goes_through_to_any_order():
    def value(images):
        return jnp.sum(jnp.sin(ada.augment(images, jnp.float32(0.9), keys(5))))

    def slope(images):
        return jnp.sum(jnp.square(jax.grad(value)(images)))

    assert np.isfinite(jax.jit(jax.grad(slope))(IMAGES)).all()


def test_p_follows_the_signs():
    settings = Augmentation(target=0.6, images=800, every=2)
    steering = ada.begin(settings)
    for step, sign in enumerate((0.5, 0.9, 0.2, 0.1)):
        steering = ada.steer(settings, steering, jnp.float32(sign), jnp.asarray(step), 8)
        # 0.7 on average, then 0.15: up by 2 * 8 / 800, and down again, from two updates each
        assert steering.p == np.float32((0, 0.02, 0.02, 0)[step])
    assert steering.signs == 0
    full = Steering(jnp.float32(1), jnp.float32(1))
    assert ada.steer(settings, full, jnp.float32(1), jnp.asarray(1), 8).p == 1
    fixed = Augmentation(start=0.3)
    assert fixed.ever and not Augmentation().ever
    begun = ada.begin(fixed)
    assert ada.steer(fixed, begun, jnp.float32(1), jnp.asarray(3), 8) is begun
