"""Styles and noise for a generator of images, drawn for each image by a key of its own.

So the parts of a batch draw what the whole batch does, and each device what its images need.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.models.protocols import StyleGenerator

MEAN_OF = 4096  # latents


def keys_of_images(key: Array, images: Float[Array, 'n h w c'], numbered: bool) -> Array:
    """Returns a key for each image, that depends on its pixels, as data [n, ...] of keys.

    Args:
      key: of all of them.
      images: any; keys lie on the devices that the images lie on.
      numbered: whether they also depend on an image's place in the batch, so that equal images
        have different ones.
    """
    bits = lax.bitcast_convert_type(images.astype(jnp.float32), jnp.uint32)
    sums = bits.sum(axis=(1, 2, 3), dtype=jnp.uint32)  # whole numbers: the same in any order
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, sums)
    if numbered:
        keys = jax.vmap(jax.random.fold_in)(keys, jnp.arange(len(images), dtype=jnp.uint32))
    return jax.random.key_data(keys)


def split_key(keys: Array, number: int) -> Array:
    """Returns the keys of one of several purposes, of data from `keys_of_images`."""
    return jax.vmap(jax.random.fold_in, (0, None))(jax.random.wrap_key_data(keys), number)


def draw_latents(model: StyleGenerator, keys: Array) -> Float[Array, 'n latent_size']:
    """Returns a latent of N(0, 1) for each key."""
    return jax.vmap(lambda key: jax.random.normal(key, (model.latent_size,)))(keys)


def draw_noise(model: StyleGenerator, keys: Array) -> list[Float[Array, 'n s s 1']]:
    """Returns the noise of each convolution, N(0, 1), for each key."""
    ends = list(itertools.accumulate(side**2 for side in model.noise_sides))
    numbers = jax.vmap(lambda key: jax.random.normal(key, (ends[-1],)))(keys)  # compiled once
    maps = jnp.split(numbers, ends[:-1], axis=1)
    pairs = zip(maps, model.noise_sides, strict=True)
    return [map_.reshape(-1, side, side, 1) for map_, side in pairs]


def mix_styles(
    styles: Sequence[Float[Array, 'n d']], cut: Int[Array, ' n'], number: int
) -> Float[Array, 'n number d']:
    """Returns the style of each layer: the first one before the cut, the second from it on."""
    first, second = (style[:, None] for style in styles)
    before = jnp.arange(number)[None, :, None] < cut[:, None, None]
    return jnp.where(before, first, second)


def map_latents(model: Any, params: Any, z: Float[Array, 'n c']) -> Float[Array, 'n d']:
    """Returns the styles of latents."""
    styles: Array = model.apply({'params': params}, z, method='map_latents')
    return styles


def mean_style(model: Any, params: Any, number: int = MEAN_OF) -> Float[Array, ' d']:
    """Returns the mean style of so many latents from a fixed seed, which truncation leads to."""
    z = jax.random.normal(jax.random.key(0), (number, model.latent_size))
    return map_latents(model, params, z).mean(axis=0)


def truncate(
    styles: Float[Array, 'n d'], mean: Float[Array, ' d'], share: float
) -> Float[Array, 'n d']:
    """Returns styles that have gone but a share of their way from the mean style.

    Karras et al. 2018 (arXiv:1812.04948), appendix B: less variety, and fewer failures.
    """
    return mean[None] + share * (styles - mean[None])
