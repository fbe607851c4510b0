"""The head of RRDBNet; its values are tested in tests/models/test_rrdb.py."""

import jax
import jax.numpy as jnp
import pytest

from sr_jax.layers.upsampling_head import UpsamplingHead


@pytest.mark.parametrize('num_ups', [0, 1, 3])
def test_every_doubling_has_a_convolution(num_ups):
    head = UpsamplingHead(num_ups, 'bfloat16')
    x = jnp.zeros((1, 3, 2, 4), jnp.bfloat16)
    y, variables = jax.eval_shape(lambda: head.init_with_output(jax.random.key(0), x))
    assert y.shape == (1, 3 * 2**num_ups, 2 * 2**num_ups, 3) and y.dtype == jnp.float32
    ups = {f'conv_up_{i}' for i in range(num_ups)}
    assert set(variables['params']) == {'conv_hr', 'conv_last', *ups}
