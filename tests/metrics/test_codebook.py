import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sr_jax.metrics.codebook import perplexity, usage


def test_known_counts():
    counts = np.array([5, 0, 5, 0])
    assert usage(counts) == pytest.approx(0.5)
    assert perplexity(counts) == pytest.approx(2)
    assert perplexity(np.array([7, 0, 0])) == pytest.approx(1)
    assert perplexity(np.full(512, 3.0)) == pytest.approx(512)


def test_nothing_counted_is_nothing_used():
    assert usage(np.zeros(4)) == 0
    assert perplexity(np.zeros(4)) == 1
    assert perplexity(jnp.zeros(4)) == 1


@given(counts=hnp.arrays(np.int64, 6, elements=st.integers(0, 1000)))
def test_perplexity_lies_between_one_and_the_codes_in_use(counts):
    used = np.count_nonzero(counts)
    assert usage(counts) == pytest.approx(used / 6)
    assert 1 - 1e-9 <= perplexity(counts) <= max(used, 1) + 1e-9


def test_jax_and_numpy_agree_inside_and_outside_of_jit():
    counts = np.array([1, 0, 10, 100], np.float32)
    for measure in (usage, perplexity):
        plain = measure(jnp.asarray(counts))
        assert isinstance(plain, jax.Array)
        assert plain.dtype == jnp.float32
        np.testing.assert_allclose(plain, measure(counts), rtol=1e-6)
        np.testing.assert_allclose(jax.jit(measure)(counts), measure(counts), rtol=1e-6)
