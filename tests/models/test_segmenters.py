"""U-Net and DeepLab: sizes, and layers that can be switched."""

import jax
import jax.numpy as jnp
import numpy as np
import one_program
import pytest

from sr_jax.layers import switching
from sr_jax.layers.switching import Switching
from sr_jax.models.deeplab import DeepLab
from sr_jax.models.unet import UNet

CASES = [
    (UNet(10, classes=5, features=3), ('decoder_0/conv_1', 'decoder_3/conv_0')),
    (UNet(14, classes=5, features=3, stem='large'), ('decoder_1/conv_1', 'backbone/conv')),
    (
        DeepLab(10, classes=5, features=3, head_features=4),
        ('pyramid/conv_2', 'backbone/stage_3_block_0/conv_1'),
    ),
    (DeepLab(14, classes=5, features=3, stem='small', head_features=4), ('conv_last',)),
]


def shapes_of(module, height=37, width=22):
    x = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    y, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
    return y.shape, variables['params']


@pytest.mark.parametrize(('module', 'layers'), CASES)
def test_logits_are_as_large_as_the_image(module, layers):
    assert shapes_of(module)[0] == (2, 37, 22, 5)
    assert shapes_of(module.clone(remat=True))[0] == (2, 37, 22, 5)


@pytest.mark.parametrize(('module', 'layers'), CASES)
def test_layers_can_be_switched(module, layers):
    module = module.clone(switching=Switching(layers=layers, breadth=6, network='standard'))
    shape, params = shapes_of(module)
    assert shape == (2, 37, 22, 5)
    switching.check_layers(params, module.switching)


def test_the_features_of_deeplab_stay_large():
    _, params = shapes_of(CASES[2][0])
    assert params['pyramid']['conv_3']['kernel'].shape == (3, 3, 24, 4)
    assert params['pyramid']['conv_last']['kernel'].shape == (1, 1, 20, 4)


def test_a_segmenter_sees_a_pixel_where_it_is():
    module = UNet(10, classes=2, features=2)
    x = np.zeros((1, 17, 30, 3), np.float32)
    variables = one_program.init(module, jax.random.key(0), x)
    x[0, 5, 21] = 1
    changed = one_program.apply(module, variables, x)
    before = one_program.apply(module, variables, np.zeros_like(x))
    where = np.unravel_index(np.abs(changed - before)[0].sum(axis=-1).argmax(), (17, 30))
    assert np.abs(np.subtract(where, (5, 21))).max() <= 2
