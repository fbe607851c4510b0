"""The difference of two images' hue, saturation and lightness, as people see them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import color_spaces, pixel


def criterion(
    prediction: Float[Array, 'n h w 3'], target: Float[Array, 'n h w 3']
) -> Float[Array, '']:
    """A third each of the mean absolute differences of hue, saturation and lightness in HSLuv.

    Of sRGB in [0, 1], which is clipped. Hues differ by the angle between them over pi, times the
    lesser of both saturations: what is nearly grey has hardly a hue. traiNNer-redux has such a loss
    (HSLuvLoss), whose hues are not weighed.

    Raises:
      ValueError: the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f'{prediction.shape} cannot be compared with {target.shape}')
    (hue, saturation, light), (wanted_hue, wanted_saturation, wanted_light) = (
        color_spaces.hsluv(jnp.clip(x.astype(jnp.float32), 0, 1)) for x in (prediction, target)
    )
    turn = jnp.abs(hue - wanted_hue)
    angle = jnp.minimum(turn, 2 * jnp.pi - turn) / jnp.pi
    hues = jnp.mean(angle * jnp.minimum(saturation, wanted_saturation))
    return (hues + pixel.l1(saturation, wanted_saturation) + pixel.l1(light, wanted_light)) / 3
