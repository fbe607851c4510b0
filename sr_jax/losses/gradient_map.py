"""The gradient-space loss of SPSR: images are compared by the strength of their edges."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import pixel

_EPSILON = 1e-6


def gradient_map(x: Float[Array, 'n h w c'], padding: int = 1) -> Float[Array, 'n h2 w2 c']:
    """Returns sqrt(v^2 + h^2 + 1e-6) in float32, each channel by itself.

    v and h are the differences of the two neighbours above and below, left and right (Ma et al.
    2020, arXiv:2003.13081; the 1e-6 is of the published code). Beyond the edges lie
    `padding` rows and columns of zeros: 1 keeps the size, 2 adds one pixel on every side, as the
    published code has it on images of the output's size.

    Raises:
      ValueError: `padding` is not 1 or 2.
    """
    if padding not in (1, 2):
        raise ValueError(f'padding must be 1 or 2, not {padding}')
    x = jnp.pad(x.astype(jnp.float32), [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    vertical = x[:, 2:, 1:-1] - x[:, :-2, 1:-1]
    horizontal = x[:, 1:-1, 2:] - x[:, 1:-1, :-2]
    return jnp.sqrt(vertical**2 + horizontal**2 + _EPSILON)


def gradient_map_loss(
    prediction: Float[Array, 'n h w c'],
    target: Float[Array, 'n h w c'],
    criterion: str = 'l2',
    padding: int = 1,
) -> Float[Array, '']:
    """Returns the difference of two images' gradient maps, in float32.

    The published code compares by l2 (with weight 0.01).

    Args:
      prediction: images.
      target: images of the same shape.
      criterion: 'l1', 'l2' or 'charbonnier'.
      padding: of `gradient_map`.

    Raises:
      InputError: no such criterion.
      ValueError: the shapes differ, or `padding` is not 1 or 2.
    """
    compare = pixel.find_criterion(criterion)
    return compare(gradient_map(prediction, padding), gradient_map(target, padding))
