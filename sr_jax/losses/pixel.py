"""Losses between the pixels of two images, and one that an image has by itself.

They take any real type and compute in float32.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config.binding import find_module, nearest
from sr_jax.errors import InputError

Criterion: TypeAlias = Callable[[Array, Array], Array]


def l1(prediction: Float[Array, '*shape'], target: Float[Array, '*shape']) -> Float[Array, '']:
    """Returns the mean absolute difference over all elements, in float32.

    Its gradient is 0 where both are equal. Raises ValueError when the shapes differ.
    """
    return jnp.mean(_take_absolute(_difference(prediction, target)))


def l2(prediction: Float[Array, '*shape'], target: Float[Array, '*shape']) -> Float[Array, '']:
    """Returns the mean squared difference over all elements, in float32.

    Raises ValueError when the shapes differ.
    """
    return jnp.mean(jnp.square(_difference(prediction, target)))


def charbonnier(
    prediction: Float[Array, '*shape'], target: Float[Array, '*shape'], epsilon: float = 1e-3
) -> Float[Array, '']:
    """Returns the mean of sqrt(d^2 + epsilon^2) over all differences d, in float32.

    A smooth L1 that costs `epsilon` at best. Charbonnier et al., Two deterministic half-quadratic
    regularization algorithms for computed imaging, 1994; with this epsilon in Lai et al. 2017
    (arXiv:1704.03915). BasicSR adds its 1e-12 under the root unsquared.

    Raises:
      ValueError: the shapes differ, or `epsilon` is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f'epsilon must be positive, not {epsilon}')
    return jnp.mean(jnp.sqrt(jnp.square(_difference(prediction, target)) + epsilon**2))


def total_variation(image: Float[Array, 'n h w c']) -> Float[Array, '']:
    """Returns the mean absolute step from pixel to pixel, down plus across, in float32.

    The anisotropic form of Rudin, Osher, Fatemi, Nonlinear total variation based noise removal
    algorithms, 1992, as means instead of sums. An image in [0, 1] has at most 2, an even one 0.

    Raises:
      ValueError: a side has less than two pixels.
    """
    if min(image.shape[1:3]) < 2:
        raise ValueError(f'total variation needs two pixels a side, not {image.shape[1:3]}')
    image = image.astype(jnp.float32)
    down, across = image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]
    return jnp.mean(_take_absolute(down)) + jnp.mean(_take_absolute(across))


CRITERIA: dict[str, Criterion] = {'l1': l1, 'l2': l2, 'charbonnier': charbonnier}


def find_criterion(name: str) -> Criterion:
    """Returns the loss `l1`, `l2` or `charbonnier`, or that of another module of `sr_jax.losses`
    which exports it as `criterion`: (prediction, target) -> scalar.

    Raises:
      InputError: there is none of that name.
    """
    if name in CRITERIA:
        return CRITERIA[name]
    try:
        found: Criterion = find_module('sr_jax.losses', name, 'criterion', 'criterion').criterion
    except InputError:
        raise InputError(f'no such criterion: {name!r}; {nearest(name, CRITERIA)}') from None
    return found


def _difference(
    prediction: Float[Array, '*shape'], target: Float[Array, '*shape']
) -> Float[Array, '*shape']:
    """Returns prediction - target in float32; nothing is broadcast."""
    if prediction.shape != target.shape:
        raise ValueError(f'{prediction.shape} cannot be compared with {target.shape}')
    return prediction.astype(jnp.float32) - target.astype(jnp.float32)


def _take_absolute(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Returns |x| with gradient 0 at 0, where `jnp.abs` has 1."""
    return x * jnp.sign(x)
