import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.checkpoints.fingerprint import fingerprints
from sr_jax.devices import sharding

DTYPES = ('float32', 'bfloat16', 'float16', 'int32', 'uint32', 'bool')


@given(st.sampled_from(DTYPES[:-1]), st.data())
def test_any_flipped_bit_changes_it(dtype, data):
    count = 5
    array = np.arange(count).astype(jnp.dtype(dtype))
    changed = array.copy()
    raw = changed.view(np.uint8)
    byte = data.draw(st.integers(0, raw.size - 1))
    raw[byte] ^= 1 << data.draw(st.integers(0, 7))
    tree = {'a': jnp.ones(2), 'b': jnp.asarray(array)}
    before, after = fingerprints(tree), fingerprints({**tree, 'b': jnp.asarray(changed)})
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize('dtype', DTYPES)
def test_two_exchanged_numbers_change_it(dtype):
    one = fingerprints([jnp.array([0, 1, 1], dtype)])
    assert one != fingerprints([jnp.array([1, 0, 1], dtype)])
    assert 0 <= one[0] < 2**32


def test_it_does_not_depend_on_the_sharding():
    array = jax.random.normal(jax.random.key(0), (64, 3))
    split = jax.device_put(array, sharding.batch_sharding(sharding.make_mesh()))
    assert fingerprints([array]) == fingerprints([split])
