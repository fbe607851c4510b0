"""SRResNet against BasicSR's MSRResNet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_parity, errors, part

from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.models.srresnet import SRResNet
from sr_jax.pretrained import srresnet as weights


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_against_the_original(golden, scale):
    arrays = golden(f'rrdb_msrresnet_x{scale}')
    model = SRResNet(**weights.fields(part(arrays, 'param/')))
    assert model.scale == scale
    assert_parity(errors(arrays, weights, model), rtol=1e-5, gradients_rtol=1e-5)


def test_start_values():
    model = SRResNet(features=32, num_blocks=1)
    params = jax.jit(draw_in_loops(model.init))(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    for layer, fan_in in (('conv_up_0', 32 * 9), ('conv_hr', 32 * 9)):
        values = params['params'][layer]
        expected = 0.1 * (2 / fan_in) ** 0.5
        np.testing.assert_allclose(values['kernel'].std(), expected, rtol=0.03)
        assert not values['bias'].any()
