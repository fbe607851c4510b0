"""Adversarial losses, from the logits that a discriminator gives to real and to generated images.

Logits may have any shape: one an image, or a map. Means run over the whole batch and map, also
where they are sharded, in float32. With r for real and f for generated ('fake') logits:

| kind | discriminator | generator | source |
|---|---|---|---|
| vanilla | E[-log s(r)] + E[-log(1 - s(f))] | E[-log s(f)] | Goodfellow et al. 2014, 1406.2661 |
| least_squares | E[(r - 1)^2] / 2 + E[f^2] / 2 | E[(f - 1)^2] / 2 | Mao et al. 2016, 1611.04076 |
| hinge | E[max(0, 1 - r)] + E[max(0, 1 + f)] | -E[f] | Lim and Ye 2017, 1705.02894 |
| wasserstein | E[f] - E[r] | -E[f] | Arjovsky et al. 2017, 1701.07875 |

s is the sigmoid. BasicSR has the same but for the halves of least_squares.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError

Logits: TypeAlias = Float[Array, '*logits']
Parts: TypeAlias = tuple[Callable[[Array], Array], Callable[[Array], Array]]

# What a logit costs that should be high, and one that should be low.
_DISCRIMINATOR: dict[str, Parts] = {
    'vanilla': (lambda x: jax.nn.softplus(-x), jax.nn.softplus),
    'least_squares': (lambda x: jnp.square(x - 1) / 2, lambda x: jnp.square(x) / 2),
    'hinge': (lambda x: jax.nn.relu(1 - x), lambda x: jax.nn.relu(1 + x)),
    'wasserstein': (lambda x: -x, lambda x: x),
}
_RELATIVISTIC: dict[str, Parts] = {
    'vanilla': _DISCRIMINATOR['vanilla'],
    'least_squares': (lambda x: jnp.square(x - 1), lambda x: jnp.square(x + 1)),
    'hinge': _DISCRIMINATOR['hinge'],
}


def discriminator_loss(real: Logits, fake: Logits, kind: str = 'vanilla') -> Float[Array, '']:
    """Returns what the discriminator has to lower; `kind` is explained above.

    Raises:
      InputError: no such kind.
    """
    high, low = _parts(_DISCRIMINATOR, kind)
    return jnp.mean(high(_to_float32(real))) + jnp.mean(low(_to_float32(fake)))


def generator_loss(fake: Logits, kind: str = 'vanilla') -> Float[Array, '']:
    """Returns what the generator has to lower, without a weight; `kind` is explained above.

    For vanilla it is the form that does not saturate.

    Raises:
      InputError: no such kind.
    """
    if kind == 'hinge':
        kind = 'wasserstein'
    high, _ = _parts(_DISCRIMINATOR, kind)
    return jnp.mean(high(_to_float32(fake)))


def relativistic_discriminator_loss(
    real: Logits, fake: Logits, kind: str = 'vanilla', detach_average: bool = True
) -> Float[Array, '']:
    """Returns how far real images are from looking more real than the average fake one.

    Half of E[high(r - E[f])] + E[low(f - E[r])], with high and low the two terms of `kind`:
    vanilla and hinge as above, least_squares (x - 1)^2 and (x + 1)^2. Jolicoeur-Martineau 2018
    (arXiv:1807.00734), section 4; vanilla is the loss of ESRGAN (arXiv:1809.00219, equation 1).
    The half is not in either paper but in BasicSR's code, whose values and gradients these are.
    There is no wasserstein, which would be the plain one.

    Args:
      real: logits of real images.
      fake: logits of generated ones.
      kind: vanilla, least_squares or hinge.
      detach_average: no gradient goes through the averages, as in BasicSR; the paper lets it.

    Raises:
      InputError: no such kind.
    """
    real, fake = _to_float32(real), _to_float32(fake)
    high, low = _parts(_RELATIVISTIC, kind)
    average_real, average_fake = jnp.mean(real), jnp.mean(fake)
    if detach_average:
        average_real, average_fake = jax.lax.stop_gradient((average_real, average_fake))
    return (jnp.mean(high(real - average_fake)) + jnp.mean(low(fake - average_real))) / 2


def relativistic_generator_loss(
    real: Logits, fake: Logits, kind: str = 'vanilla'
) -> Float[Array, '']:
    """Returns half of E[low(r - E[f])] + E[high(f - E[r])]: the other side of the loss above.

    Gradient goes through the logits of generated images and their average, not through the real
    ones. For the sources see `relativistic_discriminator_loss` (ESRGAN: equation 2).

    Raises:
      InputError: no such kind.
    """
    real, fake = jax.lax.stop_gradient(_to_float32(real)), _to_float32(fake)
    high, low = _parts(_RELATIVISTIC, kind)
    return (jnp.mean(low(real - jnp.mean(fake))) + jnp.mean(high(fake - jnp.mean(real)))) / 2


def _parts(known: dict[str, Parts], kind: str) -> Parts:
    if kind not in known:
        raise InputError(f'no such adversarial loss here: {kind!r}; {nearest(kind, known)}')
    return known[kind]


def _to_float32(logits: Logits) -> Logits:
    return logits.astype(jnp.float32)
