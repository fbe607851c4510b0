"""Hard choices: against the original, and against what their gradients should be."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from parity import assert_close, nhwc

from sr_jax.layers.diff_argmax import (
    credit,
    diff_argmax,
    hard_gate,
    log_probability_of,
    winner,
)

LOGITS = hnp.arrays(np.float32, (3, 5), elements=st.floats(-8, 8, width=32))


@pytest.mark.parametrize('case', ['switch_routetop1', 'switch_routetop1_ties'])
def test_diff_argmax_is_the_originals(golden, case):
    arrays = golden(case)
    y, pull_back = jax.vjp(diff_argmax, nhwc(arrays['in/x']))
    np.testing.assert_array_equal(y, nhwc(arrays['out/y']))
    (gradient,) = pull_back(nhwc(arrays['cotangent']))
    assert_close(gradient, nhwc(arrays['grad/in/x']), rtol=1e-6)


@hypothesis.settings(max_examples=30)
@hypothesis.given(LOGITS, LOGITS)
def test_the_gate_is_diff_argmax_of_softmax(logits, cotangent):
    def divide(x):
        return diff_argmax(jax.nn.softmax(x))

    y, pull_back = jax.vjp(hard_gate, logits)
    expected, expected_pull_back = jax.vjp(divide, logits)
    # softmax may round two logits that differ to the same probability: there either may win
    if np.array_equal(y, expected):
        assert_close(*pull_back(cotangent), *expected_pull_back(cotangent), scale=8.0)
    best = np.take_along_axis(logits, np.asarray(winner(logits))[:, None], -1)[:, 0]
    np.testing.assert_array_equal(best, logits.max(-1))


def test_the_gate_has_no_division_to_fail():
    logits = jnp.array([[0.0, -200.0, -jnp.inf], [500.0, -500.0, 499.0]])
    y, pull_back = jax.vjp(hard_gate, logits)
    np.testing.assert_array_equal(y, [[1, 0, 0], [1, 0, 0]])
    (gradient,) = pull_back(jnp.ones((2, 3)))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1], [1 - 1 / (1 + np.exp(-1)), 0, -0.26894143], rtol=1e-5)


def test_ties_go_to_the_lowest_index():
    assert winner(jnp.zeros((2, 4))).tolist() == [0, 0]
    np.testing.assert_array_equal(hard_gate(jnp.array([1.0, 3.0, 3.0])), [0, 1, 0])


@hypothesis.settings(max_examples=30)
@hypothesis.given(LOGITS)
def test_credit_is_the_gradient_of_a_one_hot_weighted_sum(logits):
    """Summing all kernels' outputs times the gate, against the chosen output with credit."""
    outputs = jnp.asarray(np.random.default_rng(0).standard_normal((3, 5, 4), np.float32))
    weights = jnp.arange(12.0).reshape(3, 4)

    def dense(logits):
        return (jnp.einsum('nb,nbc->nc', hard_gate(logits), outputs) * weights).sum()

    def sparse(logits):
        choice = winner(logits)
        chosen = jnp.take_along_axis(outputs, choice[:, None, None], axis=1)[:, 0]
        log_probabilities = jax.nn.log_softmax(logits)
        return (credit(chosen, log_probability_of(choice, log_probabilities)) * weights).sum()

    value, gradient = jax.value_and_grad(sparse)(logits)
    expected, expected_gradient = jax.value_and_grad(dense)(logits)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert_close(gradient, expected_gradient, scale=20.0)


def test_an_excluded_kernel_spoils_no_gradient():
    def value(logits):
        log_probabilities = jax.nn.log_softmax(jnp.where(jnp.arange(3) == 2, -jnp.inf, logits))
        choice = winner(log_probabilities)
        return log_probability_of(choice, log_probabilities).sum()

    gradient = jax.grad(value)(jnp.array([1.0, 1.0, 5.0]))
    np.testing.assert_allclose(gradient, [0.5, -0.5, 0.0], rtol=1e-6)
