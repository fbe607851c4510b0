import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.degradations import degrade, second_order, small_images
from sr_jax.degradations.sharpening import sharpen
from sr_jax.devices import sharding

SCALE = 4


def stack(photograph, count=4, size=40):
    images = [photograph[i : i + size, i : i + size] for i in range(count)]
    return jnp.float32(np.stack(images)) / 255


def test_each_image_has_its_own_draws(photograph, settings):
    hq, key = stack(photograph), jax.random.key(1)
    lq, target = degrade(hq, SCALE, settings, key)
    compiled = second_order.degrade._cache_size()
    assert lq.shape == (4, 10, 10, 3)
    np.testing.assert_allclose(target, sharpen(hq), atol=1e-6)
    assert 0 <= lq.min() < lq.max() <= 1
    np.testing.assert_allclose(255 * lq, np.round(255 * lq), atol=1e-4)  # 8 bits
    again, _ = degrade(hq, SCALE, settings, key)
    np.testing.assert_array_equal(lq, again)
    other, _ = degrade(hq, SCALE, settings, jax.random.key(2))
    assert (np.abs(lq - other).max((1, 2, 3)) > 0.02).all()
    # The same image four times over: four degradations.
    same, _ = degrade(jnp.repeat(hq[:1], 4, 0), SCALE, settings, key)
    np.testing.assert_array_equal(same[0], lq[0])
    assert all(np.abs(same[0] - one).max() > 0.02 for one in same[1:])
    # Another image beside it changes nothing.
    mixed, _ = degrade(hq.at[1:].set(0.5), SCALE, settings, key)
    np.testing.assert_array_equal(mixed[0], lq[0])
    assert second_order.degrade._cache_size() == compiled


def test_small_images_look_like_the_large_ones(photograph, settings):
    """No shift, no border, no colour cast: the mean over many draws is the blurred image."""
    hq = jnp.repeat(stack(photograph, 1), 4, 0)
    lq = np.concatenate([degrade(hq, SCALE, settings, jax.random.key(k))[0] for k in range(30)])
    small = np.asarray(hq[0]).reshape(10, 4, 10, 4, 3).mean((1, 3))
    mean = lq.mean(0)
    assert np.abs(mean.mean((0, 1)) - small.mean((0, 1))).max() < 0.02
    error = mean - small
    inner = np.abs(error[2:-2, 2:-2]).mean()
    for border in (error[:1], error[-1:], error[:, :1], error[:, -1:]):
        assert np.abs(border).mean() < 2 * inner + 0.02

    def likeness(rows, columns):
        moved = np.roll(mean, (rows, columns), (0, 1))[2:-2, 2:-2]
        return np.corrcoef(moved.ravel(), small[2:-2, 2:-2].ravel())[0, 1]

    assert likeness(0, 0) > 0.95
    # As much alike when shifted one way as when shifted the other.
    for there, back in (((1, 0), (-1, 0)), ((0, 1), (0, -1))):
        assert likeness(0, 0) > max(likeness(*there), likeness(*back))


def test_measuring_degrades_an_image_the_same_way_wherever_it_stands(photograph, settings):
    hq = stack(photograph)
    lq = small_images({'hq': hq}, SCALE, settings)
    turned = small_images({'hq': hq[::-1]}, SCALE, settings)
    np.testing.assert_array_equal(turned[::-1], lq)
    assert np.abs(lq[0] - lq[1]).max() > 0.02


def test_odd_sizes_are_rounded_up(photograph, settings):
    hq = stack(photograph, 1, 41)[:, :, :33]
    lq, target = jax.eval_shape(lambda x, k: degrade(x, SCALE, settings, k), hq, jax.random.key(0))
    assert lq.shape == (1, 11, 9, 3)
    assert target.shape == (1, 41, 33, 3)


@pytest.mark.slow
def test_images_stay_on_their_devices(photograph, settings):
    mesh = sharding.make_mesh(jax.devices()[:4])
    split = sharding.batch_sharding(mesh)
    hq = jax.device_put(stack(photograph), split)
    step = jax.jit(lambda hq, key: degrade(hq, SCALE, settings, key), out_shardings=split)
    text = step.lower(hq, jax.random.key(1)).compile().as_text()
    assert not any(word in text for word in ('all-gather', 'all-reduce', 'all-to-all'))
