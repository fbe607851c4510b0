"""Images of a batch mixed with each other, and small ones with what the true ones leave."""

import jax
import numpy as np
import pytest

from sr_jax.degradations import bicubic
from sr_jax.degradations.mixing import MixingSettings, mix
from sr_jax.errors import InputError

RNG = np.random.default_rng(0)
LQ = RNG.random((3, 10, 15, 3), np.float32)
HQ, REAL = (RNG.random((3, 20, 30, 3), np.float32) for _ in range(2))
PARTS = MixingSettings(mixup=0.25, cutmix=0.3, cutblur=0.2)
COUNT = 200


@pytest.fixture(scope='module')
def batches():
    """What became of one batch by many keys: small images, true ones and others, and `clear`."""

    def draw(key):
        return mix(PARTS, key, LQ, HQ, REAL)

    keys = jax.random.split(jax.random.key(0), COUNT)
    found, clear = jax.jit(
        lambda keys: (jax.vmap(draw)(keys), bicubic.degrade(HQ, 2, rounded=False))
    )(keys)
    kinds = {'none': [], 'cutblur': [], 'mixup': [], 'cutmix': []}
    for small, *large in zip(*map(np.asarray, found), strict=True):
        parts = [part_of_next(x, y) for x, y in zip((LQ, HQ, REAL), (small, *large), strict=True)]
        if (large[0] == HQ).all():
            kinds['none' if (small == LQ).all() else 'cutblur'].append((small, *large))
        else:
            kinds['mixup' if np.ptp(parts[0]) < 1e-4 else 'cutmix'].append(parts)
    return kinds, np.asarray(clear)


def part_of_next(before, after):
    """How much of each pixel is the next image's."""
    change, whole = after - before, np.roll(before, 1, axis=0) - before
    return (change * whole).sum((0, 3)) / np.square(whole).sum((0, 3))


def test_parts_of_the_batches_are_mixed_each_in_its_way(batches):
    for kind, part in {**vars(PARTS), 'none': 0.25}.items():
        assert len(batches[0][kind]) / COUNT == pytest.approx(part, abs=0.08), kind


def test_mixup_blends_all_images_by_one_share(batches):
    shares = [parts[0][0, 0] for parts in batches[0]['mixup']]
    assert min(shares) < 0.2 and max(shares) > 0.8
    for share, parts in zip(shares, batches[0]['mixup'], strict=True):
        for part in parts:
            np.testing.assert_allclose(part, share, atol=1e-4)


def test_cutmix_takes_a_box_of_the_next_image_at_both_sizes(batches):
    corners = set()
    for small, large, real in batches[0]['cutmix']:
        box = small > 0.5
        np.testing.assert_allclose(small, box, atol=1e-4)
        for part in (large, real):
            np.testing.assert_allclose(part, box.repeat(2, 0).repeat(2, 1), atol=1e-4)
        rows, columns = box.any(1).sum(), box.any(0).sum()
        assert box.sum() == rows * columns and rows in (6, 7) and columns in (10, 11)
        corners |= {(i, j) for i in (0, -1) for j in (0, -1) if box[i, j]}
    assert len(corners) == 4


def test_cutblur_shows_what_bicubic_leaves_inside_or_outside_of_a_box(batches):
    kinds, clear = batches
    inside = set()
    for small, large, real in kinds['cutblur']:
        np.testing.assert_array_equal(large, HQ)
        np.testing.assert_array_equal(real, REAL)
        taken = np.abs(small - clear).max((0, 3)) < 1e-6
        np.testing.assert_array_equal(small[:, ~taken], LQ[:, ~taken])
        box = taken if taken.sum() < 78 else ~taken
        assert box.sum() == box.any(1).sum() * box.any(0).sum() > 50
        inside.add(box is taken)
    assert inside == {False, True}


def test_nothing_is_drawn_where_nothing_is_mixed():
    found = mix(MixingSettings(), jax.random.key(0), LQ, HQ)
    assert found[0] is LQ and found[1] is HQ


@pytest.mark.parametrize('parts', [dict(mixup=-0.1), dict(mixup=0.6, cutblur=0.5)])
def test_parts_that_cannot_be_are_refused(parts):
    with pytest.raises(InputError, match='parts of the batches'):
        MixingSettings(**parts)
