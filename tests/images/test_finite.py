from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import sr_jax
from sr_jax.errors import InputError
from sr_jax.images.finite import check_finite, clip_finite


def test_no_infinity_passes_for_white_or_black():
    image = jnp.array([-np.inf, -0.5, 0.25, 1.5, np.inf, np.nan])
    np.testing.assert_array_equal(clip_finite(image), [np.nan, 0, 0.25, 1, np.nan, np.nan])


@pytest.mark.parametrize('value', [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize('dtype', [np.float32, jnp.bfloat16])
def test_one_value_of_a_tree_is_enough(value, dtype):
    numbers = np.zeros((2, 3), dtype)
    tree = {'image': numbers, 'choices': [np.arange(5)]}
    check_finite(tree, 'what it makes')
    numbers[1, 2] = value
    with pytest.raises(InputError, match='what it makes has values .* not finite.*bfloat16'):
        check_finite(tree, 'what it makes')


@pytest.mark.parametrize('room', ['tasks', 'inference', 'commands', 'training'])
def test_nothing_clips_what_networks_make_without_a_look(room):
    files = list((Path(sr_jax.__file__).parent / room).rglob('*.py'))
    assert files
    assert [path.name for path in files if 'jnp.clip(' in path.read_text()] == []
