"""Two looks at one image: crops of random places and sizes, mirrored, in other colors.

A view remembers where it is: [left, top, right, bottom] in the image, as shares of its sides. Of a
mirrored one, left and right are exchanged, so that its pixels are where they are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

AREAS = (0.2, 1.0)  # of a crop, in areas of the image
RATIOS = (3 / 4, 4 / 3)  # of width to height
STRENGTH = 0.4  # of the colors' changes
GRAY_PROB = 0.2
LUMA = np.asarray([0.299, 0.587, 0.114], np.float32)


class View(NamedTuple):
    """Images of one size, and where each of them is in the one that it was cut from."""

    images: Float[Array, 'n h w 3']
    corners: Float[Array, 'n 4']


def draw_view(key: Array, images: Float[Array, 'n h w 3']) -> View:
    """Returns a view of each image, as large as it.

    The authors of PixPro also change the hue, blur and solarize.
    """
    cuts, colors = jax.random.uniform(key, (2, len(images), 6))  # all numbers at once
    corners, flipped = jax.vmap(_place)(cuts)
    views = jax.vmap(_cut)(images, corners)
    views = jnp.where(flipped[:, None, None, None], views[:, :, ::-1], views)
    views = jax.vmap(_color)(views, colors)
    mirrored = corners[:, np.asarray([2, 1, 0, 3])]
    return View(views, jnp.where(flipped[:, None], mirrored, corners))


def _place(u: Float[Array, '6']) -> tuple[Float[Array, '4'], Array]:
    """A box of a random size and ratio at a random place, and whether it is mirrored."""
    area = AREAS[0] + u[0] * (AREAS[1] - AREAS[0])
    ratio = jnp.exp(np.log(RATIOS[0]) + u[1] * np.log(RATIOS[1] / RATIOS[0]))
    width, height = (jnp.minimum(jnp.sqrt(x), 1) for x in (area * ratio, area / ratio))
    left, top = u[2] * (1 - width), u[3] * (1 - height)
    return jnp.stack([left, top, left + width, top + height]), u[4] < 0.5


def _cut(image: Float[Array, 'h w 3'], corners: Float[Array, '4']) -> Float[Array, 'h w 3']:
    """What of an image is between corners, enlarged to its size, bilinearly."""
    sides = jnp.asarray(image.shape[:2], jnp.float32)
    start = corners[np.asarray([1, 0])] * sides
    scale = 1 / (corners[np.asarray([3, 2])] - corners[np.asarray([1, 0])])
    return jax.image.scale_and_translate(
        image, image.shape, (0, 1), scale, -start * scale, 'linear', antialias=False
    )


def _color(image: Float[Array, 'h w 3'], u: Float[Array, '6']) -> Float[Array, 'h w 3']:
    """An image in other brightness, contrast and saturation, or gray."""
    brightness, contrast, saturation = 1 + STRENGTH * (2 * u[:3] - 1)
    image = jnp.clip(image * brightness, 0, 1)
    gray = jnp.sum(image * LUMA[None, None], axis=-1, keepdims=True)
    image = jnp.clip(gray.mean() + contrast * (image - gray.mean()), 0, 1)
    gray = jnp.sum(image * LUMA[None, None], axis=-1, keepdims=True)
    image = jnp.clip(gray + saturation * (image - gray), 0, 1)
    return jnp.where(u[3] < GRAY_PROB, jnp.broadcast_to(gray, image.shape), image)
