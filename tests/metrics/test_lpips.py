"""LPIPS against the authors' package: at random weights always, at the published ones if there."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import seeded
from parity import assert_exact

from sr_jax.errors import InputError
from sr_jax.metrics import lpips
from sr_jax.models import alexnet, vgg
from sr_jax.pretrained import alexnet as alexnet_weights
from sr_jax.pretrained import named
from sr_jax.pretrained import vgg as vgg_weights

WIDTHS = {'alex': (64, 192, 384, 256, 256), 'vgg': (64, 128, 256, 512, 512)}
MODELS = {
    'alex': (alexnet.Model(('relu5_1',)), alexnet_weights),
    'vgg': (vgg.Model(('relu5_3',), depth=16), vgg_weights),
}


@pytest.fixture(scope='module', params=['alex', 'vgg'])
def metric(request):
    """The metric with the fixture's random weights."""
    model, weights = MODELS[request.param]
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    zeros = jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), shapes)
    state = seeded.state({k: v.shape for k, v in weights.to_torch(zeros).items()})
    heads = [seeded.array(f'lin{i}', (width,)) for i, width in enumerate(WIDTHS[request.param])]
    return lpips.Lpips(request.param, {**weights.from_torch(state), 'heads': heads})


def measure(metric, arrays):
    pairs = zip(arrays['in/image'], arrays['in/reference'], strict=True)
    return np.stack([metric.by_layer(a / np.float32(255), b / np.float32(255)) for a, b in pairs])


def test_every_layer_agrees_with_the_original(metric, golden):
    arrays = golden('metric_lpips')
    expected = arrays[f'out/{metric.name.removeprefix("lpips_")}_seeded']
    np.testing.assert_allclose(measure(metric, arrays), expected.T, rtol=2e-4)


@pytest.mark.parametrize('kind', ['alex', 'vgg'])
def test_the_published_weights_agree_with_the_original(golden, kind, monkeypatch):
    monkeypatch.setenv(named.OFFLINE, '1')
    try:
        metric = lpips.load(kind)
    except InputError as error:
        if 'are not here' not in str(error):
            raise
        pytest.skip(f'not fetched on this machine: {error}')
    arrays = golden('metric_lpips')
    found = measure(metric, arrays)
    np.testing.assert_allclose(found, arrays[f'out/{kind}_published'].T, rtol=5e-4)


def test_equal_images_have_no_distance_and_order_does_not_matter(metric, golden):
    arrays = golden('metric_lpips')
    a, b = (arrays[f'in/{name}'][0] / np.float32(255) for name in ('image', 'reference'))
    assert metric(a, a) < 1e-12
    assert metric(a, b) == pytest.approx(metric(b, a), rel=1e-5)
    assert metric(a, b) > 0


def test_images_are_rounded_to_eight_bits_first(metric, golden):
    a = golden('metric_lpips')['in/image'][0] / np.float32(255)
    assert metric(a + np.float32(0.4 / 255), a) < 1e-12


def test_what_cannot_be_measured_is_said(metric):
    small = np.zeros((15, 40, 3), np.float32)
    with pytest.raises(InputError, match=r'needs at least (16|31)x\1 pixels, there are 40x15'):
        metric(small, small)
    with pytest.raises(ValueError, match='different shapes'):
        metric(np.zeros((40, 40, 3), np.float32), np.zeros((40, 41, 3), np.float32))


def test_the_least_side_is_the_least(metric):
    least = lpips.KINDS[metric.name.removeprefix('lpips_')].min_side
    random = np.random.default_rng(0)
    a, b = random.random((2, least, least, 3), np.float32)
    assert np.isfinite(metric(a, b))
    features = jax.eval_shape(
        lambda x: metric._kind.model.init_with_output(jax.random.key(0), x)[0],
        jax.ShapeDtypeStruct((1, least, least, 3), np.float32),
    )
    assert features[metric._kind.layers[-1]].shape[1:3] == (1, 1)


def test_convolutions_are_not_rounded_on_gpus(metric):
    pair = jax.ShapeDtypeStruct((2, 32, 32, 3), np.float32)
    assert_exact(metric._measure.lower(metric._variables, pair).as_text())


def test_an_unknown_kind_is_told_the_nearest():
    with pytest.raises(InputError, match="no such form of LPIPS: 'alexx'; did you mean 'alex'"):
        lpips.load('alexx')
    with pytest.raises(InputError, match='valid: alex, vgg'):
        lpips.Lpips('squeeze', {})


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.01, 100.0),
    layers=st.integers(1, 3),
)
def test_distances_by_loops(seed, scale, layers):
    """Only the direction of a feature vector counts, and one of zeros divides nothing by 0."""
    random = np.random.default_rng(seed)
    shapes = [(2, 2, 3, int(random.integers(1, 5))) for _ in range(layers)]
    first = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    second = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    second[0][:, 0, 0] = 0
    heads = [random.random(shape[-1], np.float32) for shape in shapes]
    asked = [jax.numpy.asarray(np.float32(scale) * x) for x in first]
    arguments = (asked, *([jax.numpy.asarray(x) for x in y] for y in (second, heads)))
    found = lpips.distances(*arguments)
    for x, y, head, row in zip(first, second, heads, found, strict=True):
        x, y = np.float64(x), np.float64(y)
        units = [v / (np.sqrt((v**2).sum(-1, keepdims=True)) + 1e-10) for v in (x, y)]
        wanted = ((units[0] - units[1]) ** 2 * head).sum(-1).mean((1, 2))
        np.testing.assert_allclose(row, wanted, rtol=1e-4, atol=1e-6)
