import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.checkpoints import fingerprint
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


@pytest.mark.parametrize('dtype', DTYPES)
def test_programs_and_numpy_agree(dtype, monkeypatch):
    monkeypatch.setattr(fingerprint, 'CHUNK', 7)
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 256, (3, 5, 8), np.uint8)
    arrays = [
        rng.integers(0, 2, (4, 11)).astype(bool) if dtype == 'bool' else bits.view(dtype),
        np.ones((), dtype),
        np.ones((2, 0), dtype),
    ]
    on_devices = [jnp.asarray(x) for x in arrays]
    expected = fingerprint._compute_all(on_devices).tolist()  # what several processes compute
    assert fingerprints(on_devices) == fingerprints(arrays) == expected
    transposed = [x.T for x in arrays]
    assert fingerprints(transposed) == fingerprint._compute_all(transposed).tolist()
