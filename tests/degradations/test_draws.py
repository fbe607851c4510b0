import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.degradations.draws import between, choice, integer

UNIFORM = jnp.linspace(0, 1, 4001, endpoint=False)


def test_choices_have_their_probabilities():
    chosen = jax.vmap(lambda u: choice(u, (0.2, 0.7, 0.0, 0.1)))(UNIFORM)
    np.testing.assert_allclose(np.bincount(chosen) / len(UNIFORM), (0.2, 0.7, 0, 0.1), atol=1e-3)


def test_numbers_stay_in_their_range():
    whole = np.asarray(integer(UNIFORM, 30, 95))
    assert (whole.min(), whole.max()) == (30, 95)
    counts = np.bincount(whole)[30:]
    assert counts.max() - counts.min() <= 2
    assert integer(jnp.float32(1), 30, 95) == 95
    assert 2 <= between(UNIFORM, 2, 5).min() < 2.01 < 4.99 < between(UNIFORM, 2, 5).max() <= 5
