"""A loss for even use of experts, the alternative to the switch norm."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def load_balancing(
    probabilities: Float[Array, '*batch b'], choice: Int[Array, '*batch']
) -> Float[Array, '']:
    """Returns b sum_i f_i P_i in float32: 1 at even use, up to b when one expert has everything.

    f_i is the share of pixels that chose expert i, P_i the mean of its probabilities; the gradient
    goes through P alone. Fedus, Zoph, Shazeer 2021 (arXiv:2101.03961), equations 4 to 6, without
    the weight alpha (0.01 there). Means run over the whole batch, also where it is sharded.
    """
    breadth = probabilities.shape[-1]
    shares = jax.nn.one_hot(choice, breadth).reshape(-1, breadth).mean(axis=0)
    means = probabilities.astype(jnp.float32).reshape(-1, breadth).mean(axis=0)
    return breadth * jnp.sum(shares * means)
