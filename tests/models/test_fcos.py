"""FCOS against torchvision's, computed in float64: values, losses, gradients, files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign_networks import draw, draw_images, is_moving, probe
from parity import error, nhwc

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.models.fcos import FCOS, places
from sr_jax.pretrained import fcos, recognition
from sr_jax.tasks import detection


def load(golden):
    """The fixture, its images, the state dictionary that it was made with, and what that holds."""
    arrays = golden('detector_fcos')
    meta = json.loads(str(arrays['meta/json']))
    state = draw(meta['arrays'])
    found = recognition.recognize(state, 'x')
    return arrays, nhwc(draw_images(meta['shape'])), state, found


def test_values_losses_and_gradients_are_torchvisions(golden):
    arrays, x, state, found = load(golden)
    module, where = models.make(found.model), places(*x.shape[1:3], 'large')
    others = {k: v for k, v in found.variables.items() if k != 'params'}
    np.testing.assert_array_equal(where.centers, arrays['out/centers'])

    @jax.jit
    def compute(params):
        def loss(params):
            variables = {**others, 'params': params}
            y, _ = module.apply(variables, x, train=True, mutable=['batch_norm_statistics'])
            terms = detection.find_losses(y, jnp.asarray(arrays['in/boxes']), where)
            return sum(terms.values()), (y, terms)

        return jax.grad(loss, has_aux=True)(params)

    gradients, (y, terms) = compute(found.variables['params'])
    assert error(y.logits, arrays['out/logits']) < 1e-4
    assert error(y.sides, arrays['out/sides'][..., [1, 0, 3, 2]]) < 1e-4
    assert error(y.centeredness, arrays['out/centeredness']) < 1e-4
    for name, value in terms.items():
        assert value == pytest.approx(float(arrays[f'loss/{name}']), rel=1e-4), name
    theirs = fcos.to_torch({**others, 'params': gradients})
    found_probes = probe({key: theirs[key] for key in state if not is_moving(key)})
    expected = arrays['grad/probe']
    scale = np.maximum(expected[:, :1], 1e-3 * expected[:, 0].max())
    errors = (np.abs(found_probes - expected) / scale).max(axis=1)
    # Of some ReLUs the input is so near 0 that in float32 it is on the other side.
    assert np.median(errors) < 1e-4 and errors.max() < 1e-2


def test_files_come_back_bit_for_bit(golden):
    _, _, state, found = load(golden)
    back = recognition.foreign_names('fcos', models.make(found.model), found.variables, 'x')
    assert back.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)


@pytest.mark.parametrize('stem', ['large', 'small'])
def test_there_is_a_finding_for_every_place(stem):
    module = FCOS(10, classes=5, features=3, stem=stem, head_features=6, num_convs=1, groups=2)
    x = jax.ShapeDtypeStruct((2, 39, 70, 3), jnp.float32)
    y, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
    count = len(places(39, 70, stem).centers)
    assert y.logits.shape == (2, count, 5)
    assert y.sides.shape == (2, count, 4) and y.centeredness.shape == (2, count)


def test_groups_that_do_not_fit_are_named():
    module = FCOS(10, head_features=6, groups=4)
    with pytest.raises(InputError, match='head_features=6 do not split into 4 equal groups'):
        jax.eval_shape(module.init, jax.random.key(0), module.example(1))
