"""TecoGAN's weights by TensorFlow's names: what they compute, there and here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from published_states import tecogan

from sr_jax.errors import InputError
from sr_jax.layers.resampling import pixel_unshuffle, upsample_from_corner
from sr_jax.models.frvsr import Generator
from sr_jax.pretrained import frvsr

UNIT = 'generator/generator_unit'
FIELDS = dict(scale=2, features=5, num_blocks=1, motion_features=2)


@pytest.fixture(scope='module')
def state():
    random = np.random.default_rng(0)
    shapes = dict(tecogan(**FIELDS))
    return {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def convolve(state, name, x):
    kernel, bias = (state[f'{UNIT}/{name}/Conv/{kind}'] for kind in ('weights', 'biases'))
    windows = sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), (0, 1))
    return np.einsum('hwikl,klio->hwo', windows, kernel) + bias


def double(state, name, x):
    """TensorFlow's conv2d_transpose, whose kernel is [height, width, out, in]."""
    layer = f'{UNIT}/conv_tran2highres/{name}/Conv2d_transpose'
    kernel, (height, width) = state[f'{layer}/weights'], x.shape[:2]
    whole = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[2]))
    for y, column in np.ndindex(height, width):
        added = np.einsum('kloi,i->klo', kernel, x[y, column])
        whole[2 * y : 2 * y + 3, 2 * column : 2 * column + 3] += added
    return whole[: 2 * height, : 2 * width] + state[f'{layer}/biases']


def test_the_generator_is_theirs(state):
    random = np.random.default_rng(1)
    frame, before = random.random((6, 7, 3), np.float32), random.random((12, 14, 3), np.float32)
    # space_to_depth: the pixels of a square one after the other, each with its colors
    depth = before.reshape(6, 2, 7, 2, 3).transpose(0, 2, 1, 3, 4).reshape(6, 7, 12)
    x = np.maximum(convolve(state, 'input_stage/conv', np.concatenate([frame, depth], -1)), 0)
    inner = np.maximum(convolve(state, 'resblock_1/conv_1', x), 0)
    x = x + convolve(state, 'resblock_1/conv_2', inner)
    x = np.maximum(double(state, 'conv_tran1', x), 0)
    expected = convolve(state, 'output_stage/conv', x)
    params = frvsr.from_torch(state)['params']['generator']
    given = jnp.concatenate([frame[None], pixel_unshuffle(before[None], 2)], -1)
    found = jax.jit(Generator(2, 5, 1).apply)({'params': params}, given)
    enlarged = upsample_from_corner(jnp.asarray(frame)[None], 2, 'cubic')
    np.testing.assert_allclose((found - enlarged)[0], expected, atol=1e-4)


def test_there_and_back_whatever_else_a_training_has_left(state):
    more = {
        f'{UNIT}/input_stage/conv/Conv/weights/Adam': np.zeros(3),
        'tdiscriminator/discriminator_unit/input_stage/conv/Conv/weights': np.zeros(4),
        'global_step': np.zeros(()),
    }
    assert frvsr.fields({**state, **more}) == FIELDS
    back = frvsr.to_torch(frvsr.from_torch({**state, **more}))
    assert back.keys() == state.keys()
    assert all(np.array_equal(back[name], value) for name, value in state.items())


def test_what_is_not_theirs_is_told(state):
    first = f'{UNIT}/input_stage/conv/Conv/weights'
    with pytest.raises(InputError, match='input_stage/conv/Conv/weights. has the shape'):
        frvsr.from_torch({**state, first: state[first][:, :, 1:]})
    variables = {'params': {'generator': {'body_0': {}}, 'motion': {}}}
    with pytest.raises(InputError, match="only 'residual' has its names"):
        frvsr.to_torch(variables)
