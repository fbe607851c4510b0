"""Colors and lightness that stay those of the target, which an adversarial loss lets drift."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import pixel
from sr_jax.losses.blur import gaussian_blur
from sr_jax.losses.color_spaces import luma, oklab

TAPS, SIGMA = 21, 3.0


def criterion(
    prediction: Float[Array, 'n h w 3'], target: Float[Array, 'n h w 3']
) -> Float[Array, '']:
    """The mean absolute difference of the blurred images' L* plus that of Oklab's a and b.

    Of sRGB in [0, 1], which is clipped to [1/255, 1]. neosr has it as consistency_loss, which also
    adds cosine similarities where they are nearly 0, and reflects images where the window leaves
    them; here it stays inside.

    Raises:
      ValueError: the shapes differ, or a side is smaller than the window of 21 pixels.
    """
    if min(prediction.shape[1:3]) < TAPS:
        raise ValueError(f'consistency needs at least {TAPS} pixels a side')
    x, y = (jnp.clip(image.astype(jnp.float32), 1 / 255, 1) for image in (prediction, target))
    light = pixel.l1(*(luma(gaussian_blur(image, TAPS, SIGMA)) for image in (x, y)))
    return light + pixel.l1(oklab(x)[..., 1:], oklab(y)[..., 1:])
