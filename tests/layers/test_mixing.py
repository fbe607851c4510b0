import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers.mixing import draw_box, mix

VALUES = np.array([0.1, 0.5, 0.9, 0.2], np.float32)
IMAGES = jnp.broadcast_to(VALUES[:, None, None, None], (4, 7, 10, 3))
TARGETS = jnp.eye(4, 6)
MIX = jax.jit(jax.vmap(mix, (0, None, None, None, None)), static_argnums=(3, 4))
KEYS = jax.random.split(jax.random.key(0), 40)


@pytest.mark.parametrize(('mixup', 'cutmix'), [(0.4, 0.0), (0.0, 1.0), (0.3, 0.8)])
def test_targets_are_mixed_as_much_as_pixels(mixup, cutmix):
    images, targets = MIX(KEYS, IMAGES, TARGETS, mixup, cutmix)
    np.testing.assert_allclose(targets.sum(axis=-1), 1, rtol=1e-6)
    expected = targets[..., :4] @ VALUES
    np.testing.assert_allclose(images.mean(axis=(2, 3, 4)), expected, rtol=1e-5)
    share = targets[:, 0, 0]
    assert share.min() < 0.3 and share.max() > 0.7
    flat = np.ptp(np.asarray(images[:, 0]), axis=(1, 2, 3)) < 1e-6
    assert flat.all() if not cutmix else not flat.all()
    assert (flat.mean() > 0.2) == bool(mixup)


def test_nothing_is_mixed_without_a_distribution():
    images, targets = mix(KEYS[0], IMAGES, TARGETS, 0.0, 0.0)
    assert images is IMAGES and targets is TARGETS


def test_a_box_is_as_large_as_its_share_where_no_border_cuts_it():
    boxes = jax.vmap(draw_box, (0, None, None, None))(KEYS, 40, 60, 0.91)
    areas = boxes.mean(axis=(1, 2))
    assert areas.max() == pytest.approx(0.09, abs=0.004)
    assert areas.min() < 0.08
