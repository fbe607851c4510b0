import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.degradations.canvas import clamp_places, reflect_places


@pytest.mark.parametrize('size', range(2, 10))
def test_lines_go_on_as_numpy_pads_them(size):
    places, line = jnp.arange(-30, 40), np.arange(size)
    expected = np.pad(line, (30, 40 - size), mode='reflect')
    np.testing.assert_array_equal(reflect_places(places, jnp.int32(size)), expected)
    expected = np.pad(line, (30, 40 - size), mode='edge')
    np.testing.assert_array_equal(clamp_places(places, jnp.int32(size)), expected)


def test_a_single_pixel_is_everywhere():
    np.testing.assert_array_equal(reflect_places(jnp.arange(-3, 4), jnp.int32(1)), np.zeros(7))
