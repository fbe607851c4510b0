"""The load-balancing loss against its definition."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sr_jax.losses.load_balancing import load_balancing


@hypothesis.settings(max_examples=30)
@hypothesis.given(hnp.arrays(np.float32, (2, 3, 4), elements=st.floats(-5, 5, width=32)))
def test_against_a_loop_over_the_experts(logits):
    probabilities = np.asarray(jax.nn.softmax(logits))
    choice = probabilities.argmax(-1)
    expected = 4 * sum(
        (choice == expert).mean() * probabilities[..., expert].mean() for expert in range(4)
    )
    np.testing.assert_allclose(load_balancing(probabilities, choice), expected, rtol=1e-5)


def test_even_use_costs_one_and_collapse_costs_the_breadth():
    even = jnp.full((1, 2, 2, 4), 0.25)
    choice = jnp.arange(4).reshape(1, 2, 2)
    assert load_balancing(even, choice) == 1
    collapsed = jax.nn.one_hot(jnp.full((1, 2, 2), 3), 4)
    assert load_balancing(collapsed, jnp.full((1, 2, 2), 3)) == 4


def test_the_gradient_lowers_what_is_used_most():
    choice = jnp.array([0, 0, 1])
    gradient = jax.grad(load_balancing)(jnp.full((3, 2), 0.5), choice)
    np.testing.assert_allclose(gradient, jnp.tile(jnp.array([[4 / 9, 2 / 9]]), (3, 1)), rtol=1e-6)
