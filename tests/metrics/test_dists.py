"""DISTS against pyiqa, at weights at random: measured, and as a loss."""

import jax
import numpy as np
import pytest
import seeded
from parity import assert_exact

from sr_jax.errors import InputError
from sr_jax.metrics import dists
from sr_jax.pretrained import dists as weights
from sr_jax.pretrained import files
from sr_jax.pretrained.recognition import Recognized


def stages():
    """The arrays of pyiqa's module by name, with the fixture's numbers."""
    plan = {1: (0, 2), 2: (5, 7), 3: (10, 12, 14), 4: (17, 19, 21), 5: (24, 26, 28)}
    channels, found = 3, {}
    for stage, width in zip(plan, (64, 128, 256, 512, 512), strict=True):
        for layer in plan[stage]:
            for kind, shape in (('weight', (width, channels, 3, 3)), ('bias', (width,))):
                value = seeded.array(f'features.{layer}.{kind}', shape)
                found[f'stage{stage}.{layer}.{kind}'] = value
            channels = width
    return found


def own():
    return {name: seeded.array(name, (1475,)).reshape(1, -1, 1, 1) for name in ('alpha', 'beta')}


@pytest.fixture(scope='module')
def variables(tmp_path_factory):
    """Read from a file as pyiqa's module saves it, with the constants that it holds."""
    path = tmp_path_factory.mktemp('dists') / 'dists.safetensors'
    constants = {'mean': np.zeros((1, 3, 1, 1)), 'stage2.4.filter': np.zeros((64, 1, 3, 3))}
    files.write_state(path, own() | stages() | constants, {})
    return dists.read(str(path), load={}.get)


def pairs():
    images, others = seeded.images(6, 2, 21, 34), seeded.images(7, 2, 21, 34)
    others[1] = np.clip(images[1].astype(int) + 9, 0, 255)
    return images / np.float32(255), others / np.float32(255)


def test_it_agrees_with_pyiqa_on_eight_bits(variables, golden):
    arrays, metric, (images, others) = golden('metric_dists'), dists.Dists(variables), pairs()
    assert set(arrays['out/names']) >= own().keys() | stages().keys()
    between = np.float32(0.4 / 255)
    found = [metric(x + between, y) for x, y in zip(images, others, strict=True)]
    np.testing.assert_allclose(found, arrays['out/distances'], rtol=1e-4)
    assert abs(metric(images[0], images[0])) < 1e-6
    with pytest.raises(ValueError, match='different shapes'):
        metric(images[0], others[0][:20])


@pytest.mark.slow
def test_gradients_agree_with_pyiqa(variables, golden):
    @jax.jit
    @jax.grad
    def gradient(x, variables, others):
        return dists.distances(variables, x, others).sum()

    wanted, (images, others) = golden('metric_dists')['out/gradient'], pairs()
    found = gradient(images, variables, others)
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())


def test_products_are_not_rounded_on_gpus(variables):
    pair = [jax.ShapeDtypeStruct((1, 21, 34, 3), np.float32)] * 2
    assert_exact(jax.jit(dists.distances).lower(variables, *pair).as_text())


def test_the_authors_file_is_completed_by_published_features(tmp_path):
    files.write_state(tmp_path / 'a.safetensors', own(), {})

    published = {'lpips-vgg16': Recognized({}, {'params': {'conv1_1': 1}})}
    found = dists.read(str(tmp_path / 'a.safetensors'), published.get)
    assert found['params'] == {'conv1_1': 1}
    np.testing.assert_array_equal(found['structure'], seeded.array('beta', (1475,)))


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        ({'alpha': np.zeros((1, 1475, 1, 1))}, "it has no 'beta' of 1475"),
        (own() | {'beta': np.zeros(1474)}, "it has no 'beta' of 1475"),
        (own() | {'alpha': np.full(1475, np.nan)}, "'alpha' is not finite"),
        (own() | {'stage1.0.weight': np.zeros((64, 3, 3, 3))}, 'not the weights of torchvision'),
    ],
)
def test_other_files_are_refused(tmp_path, state, message):
    path = tmp_path / 'a.safetensors'
    files.write_state(path, {k: np.asarray(v, np.float32) for k, v in state.items()}, {})
    with pytest.raises(InputError, match=rf'a\.safetensors: .*{message}'):
        weights.read(path)
