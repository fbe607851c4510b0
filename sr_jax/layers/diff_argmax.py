"""Hard choices with a gradient, as the selectors of switched convolutions use them.

Forward, the choice is the one-hot of the largest value. Backward, with g the cotangent and y the
probabilities, the winner w gets g_w / y_w and the others nothing (RouteTop1 of
neonbjb/SwitchedConvolutions). That is the gradient of g_w log y_w. So for y = softmax(l) the
gradient of the logits is g_w (onehot_w - y): no division, and bounded.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def winner(values: Float[Array, '*batch b']) -> Int[Array, '*batch']:
    """Returns int32 indices of the largest values of the last axis; of equals, the lowest."""
    return jnp.argmax(values, axis=-1).astype(jnp.int32)


def _one_hot_winner(values):
    return jax.nn.one_hot(winner(values), values.shape[-1], dtype=values.dtype)


@jax.custom_vjp
def diff_argmax(probabilities: Float[Array, '*batch b']) -> Float[Array, '*batch b']:
    """Returns the one-hot of the largest of `b` probabilities; of equals, the lowest index.

    Backward, the winner gets its cotangent divided by its probability and the others zero. Where
    logits are at hand, `hard_gate` has the same gradient without the division.
    """
    return _one_hot_winner(probabilities)


def _diff_argmax_forward(probabilities):
    chosen = _one_hot_winner(probabilities)
    return chosen, (probabilities, chosen)


def _diff_argmax_backward(residuals, cotangent):
    probabilities, chosen = residuals
    wins = chosen > 0
    return (jnp.where(wins, cotangent, 0) / jnp.where(wins, probabilities, 1),)


diff_argmax.defvjp(_diff_argmax_forward, _diff_argmax_backward)


@jax.custom_vjp
def hard_gate(logits: Float[Array, '*batch b']) -> Float[Array, '*batch b']:
    """Returns `diff_argmax(softmax(logits))`, with the gradient g_w (onehot_w - softmax).

    Anything that softmax does not see may be added to the logits, so that logarithms of
    probabilities, as `SwitchNorm` returns them, serve as well.
    """
    return _one_hot_winner(logits)


def _hard_gate_forward(logits):
    chosen = _one_hot_winner(logits)
    return chosen, (jax.nn.softmax(logits, axis=-1), chosen)


def _hard_gate_backward(residuals, cotangent):
    probabilities, chosen = residuals
    at_winner = jnp.where(chosen > 0, cotangent, 0).sum(axis=-1, keepdims=True)
    return (at_winner * (chosen - probabilities),)


hard_gate.defvjp(_hard_gate_forward, _hard_gate_backward)


def log_probability_of(
    choice: Int[Array, '*batch'], log_probabilities: Float[Array, '*batch b']
) -> Float[Array, '*batch']:
    """Returns `log_probabilities` at each choice, without a gather; -inf elsewhere is safe."""
    chosen = (
        choice[..., None]
        == jnp.arange(log_probabilities.shape[-1])[(None,) * choice.ndim + (slice(None),)]
    )
    return jnp.where(chosen, log_probabilities, 0).sum(axis=-1)


def credit(
    y: Float[Array, '*batch c'],
    log_probability: Float[Array, '*batch'],
    baseline: Float[Array, '*batch c'] | None = None,
) -> Float[Array, '*batch c']:
    """Returns y; backward, log_probability gets sum_c g_c (y_c - baseline_c), in float32.

    y is what the chosen kernel gave. With a one-hot gate, y = gate_w y, so that g_w is this sum
    without a baseline, and g_w is what the hard gate hands to the logarithm of the winner's
    probability: whether more of y would be better, whichever kernel it is from. A baseline that is
    what the kernels give on average leaves whether this one is better than the others. None of it
    goes to the baseline.

    Args:
      y: what the chosen kernel gave.
      log_probability: of the choice.
      baseline: what the kernels give on average, or None.
    """
    worth = y if baseline is None else y.astype(jnp.float32) - baseline
    return _attach_credit(y, jax.lax.stop_gradient(worth), log_probability)


@jax.custom_vjp
def _attach_credit(y, worth, log_probability):
    return y


def _credit_forward(y, worth, log_probability):
    return y, (worth, jnp.zeros((), log_probability.dtype))


def _credit_backward(residuals, cotangent):
    worth, like = residuals
    products = cotangent.astype(jnp.float32) * worth.astype(jnp.float32)
    return cotangent, jnp.zeros_like(worth), products.sum(axis=-1).astype(like.dtype)


_attach_credit.defvjp(_credit_forward, _credit_backward)
