"""FID against pytorch-fid, and its distance against a root of matrices."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import seeded
from flax import linen as nn
from parity import assert_exact

from sr_jax.errors import InputError
from sr_jax.metrics import fid
from sr_jax.models import inception
from sr_jax.pretrained import inception as weights


@pytest.fixture(scope='module')
def metric():
    """The metric with the fixture's random weights."""
    module = inception.Model()
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 96, 96, 3), np.float32))
    zeros = jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), shapes)
    state = seeded.state({k: v.shape for k, v in weights.to_torch(zeros).items()})
    return fid.Fid(module, weights.from_torch(state))


def test_the_features_agree_with_pytorch_fid(metric, golden, monkeypatch):
    monkeypatch.setattr(fid, 'BATCH', 2)
    images = seeded.images(4, 2, 40, 52) / np.float32(255)
    found = metric.features([metric.prepare(image) for image in images])
    expected = golden('metric_fid')['out/features']
    np.testing.assert_allclose(found, expected, atol=2e-4 * expected.max())
    assert np.abs(expected[0] - expected[1]).max() > 50 * np.abs(found - expected).max()


def test_products_are_not_rounded_on_gpus(metric):
    images = jax.ShapeDtypeStruct((2, fid.SIDE, fid.SIDE, 3), np.float32)
    assert_exact(metric._apply.lower(metric._variables, images).as_text())


def test_images_are_resized_as_by_the_originals(golden):
    arrays = golden('metric_fid')
    for name, image in (
        ('enlarged', seeded.images(4, 2, 40, 52)[0]),
        ('shrunk', seeded.images(5, 1, 320, 400)[0]),
    ):
        found = fid.resize_bilinear(image / np.float32(255))
        # PyTorch tells the places in float32.
        np.testing.assert_allclose(found[::37, ::41], arrays[f'out/{name}'], atol=1e-5)
        found = fid.resize_bicubic(image / np.float32(255))
        np.testing.assert_allclose(found[::37, ::41], arrays[f'out/bicubic_{name}'], atol=1e-6)


def test_bicubic_is_antialiased_and_bilinear_is_not():
    stripes = np.zeros((1196, 300, 3), np.float32)
    stripes[::2] = 1
    assert np.abs(fid.resize_bicubic(stripes)[2:-2] - 0.5).max() < 0.01
    grid = np.zeros((4 * fid.SIDE, fid.SIDE, 3), np.float32)
    grid[1::4] = grid[2::4] = 1  # the pixels between which each output pixel lies
    assert fid.resize_bilinear(grid).min() == 1


def test_batches_are_filled_and_no_image_is_lost(monkeypatch):
    monkeypatch.setattr(fid, 'BATCH', 3)

    class Means(nn.Module):
        def __call__(self, x):
            assert x.shape == (3, fid.SIDE, fid.SIDE, 3)
            return jnp.broadcast_to(x.mean(axis=(1, 2, 3))[:, None], (3, inception.FEATURES))

    images = fid.ImageSet(fid.Fid(Means(), {}, 'bicubic'))
    with pytest.raises(InputError, match='there is none'):
        images.statistics()
    levels = np.arange(7, dtype=np.float32) / 255
    for level in levels:
        images.add(np.full((5, 4, 3), level, np.float32))
    found = images.statistics()
    assert found.number == 7
    np.testing.assert_allclose(found.mean, levels.mean(), atol=1e-6)
    np.testing.assert_allclose(np.square(found.factor).sum(axis=0), levels.var(ddof=1), rtol=1e-4)


def test_the_distance_agrees_with_pytorch_fid(golden):
    arrays = golden('metric_fid')
    found = fid.frechet_distance(*(fid.statistics(arrays[f'in/{x}']) for x in 'ab'))
    np.testing.assert_allclose(found, arrays['out/distance'], rtol=1e-8)


def by_roots(a, b):
    """The distance by roots of symmetric matrices."""

    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    first, second = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    half = root(first)
    common = root(half @ second @ half)
    apart = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return apart + np.trace(first) + np.trace(second) - 2 * np.trace(common)


def features(least, most):
    values = st.floats(-10, 10, width=32)
    return st.integers(1, 6).flatmap(
        lambda width: st.tuples(
            *(
                st.integers(least, most).flatmap(
                    lambda number: hnp.arrays(np.float64, (number, width), elements=values)
                )
                for _ in range(2)
            )
        )
    )


@hypothesis.given(features(2, 9))
def test_the_distance_by_roots_of_matrices(pair):
    """Also of fewer images than features, whose covariance is singular."""
    first, second = map(fid.statistics, pair)
    found = fid.frechet_distance(first, second)
    scale = 1 + np.sum(first.factor**2) + np.sum(second.factor**2)
    np.testing.assert_allclose(found, by_roots(*pair), atol=1e-5 * scale)
    np.testing.assert_allclose(found, fid.frechet_distance(second, first), atol=1e-9 * scale)
    assert fid.frechet_distance(first, first) <= 1e-9 * scale
    assert found >= 0


@hypothesis.given(features(2, 9), st.floats(-5, 5))
def test_a_shift_of_all_features_adds_its_square(pair, shift):
    a = pair[0]
    found = fid.frechet_distance(fid.statistics(a), fid.statistics(a + shift))
    np.testing.assert_allclose(found, shift**2 * a.shape[1], atol=1e-7 * (1 + np.square(a).sum()))


def test_the_factor_holds_the_covariance_however_many_there_are():
    for number in (3, 50):
        x = np.random.default_rng(number).standard_normal((number, 5))
        found = fid.statistics(x)
        assert found.factor.shape == (min(number, 5), 5)
        np.testing.assert_allclose(found.factor.T @ found.factor, np.cov(x, rowvar=False))


def test_what_cannot_be_measured_is_said():
    with pytest.raises(InputError, match='at least two images, and there is 1'):
        fid.statistics(np.zeros((1, 4)))
    with pytest.raises(InputError, match='and there is none'):
        fid.statistics(np.zeros((0, 4)))
    with pytest.raises(ValueError, match='4 features and 5 features'):
        fid.frechet_distance(*(fid.statistics(np.zeros((2, n))) for n in (4, 5)))
    with pytest.raises(InputError, match="'bilinaer'; did you mean 'bilinear'"):
        fid.Fid(inception.Model(), {}, 'bilinaer')


def test_few_images_are_warned_about():
    assert 'over 2048 images' in fid.few_images(2048, 2048)
    assert not fid.few_images(2049, 2048)
