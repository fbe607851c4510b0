import jax
import numpy as np
import pytest
from jax import lax

from sr_jax.layers.in_phases import in_phases


def convolve(x, kernel, dilation=1):
    side = dilation * (kernel.shape[0] // 2)
    return lax.conv_general_dilated(
        *(x, kernel, (1, 1), [(side, side)] * 2),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )


@pytest.mark.parametrize(('height', 'width', 'dilation'), [(7, 10, 3), (5, 2, 4), (1, 6, 2)])
def test_it_is_the_dilated_convolution(height, width, dilation):
    rng = np.random.default_rng(0)
    x = rng.random((2, height, width, 3), np.float32)
    kernel = rng.random((3, 3, 3, 4), np.float32)

    @jax.jit
    def both(x):
        found = in_phases(lambda part: convolve(part, kernel), x, dilation)
        return found, convolve(x, kernel, dilation)

    np.testing.assert_allclose(*both(x), rtol=1e-5)
