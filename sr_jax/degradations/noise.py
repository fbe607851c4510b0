"""Gaussian and Poisson noise, of each channel by itself or the same for all three."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from sr_jax.degradations.canvas import Canvas
from sr_jax.degradations.draws import between
from sr_jax.degradations.settings import StageSettings

_LUMINANCE = np.array([0.2989, 0.587, 0.114], np.float32)  # of torchvision's `rgb_to_grayscale`
_COUNTS = 512  # a Poisson number of mean 256 is below it but for 1 in 10^40


def add_noise(key: Key[Array, ''], image: Canvas, settings: StageSettings) -> Canvas:
    """Adds noise of one kind to one image, and clips to [0, 1].

    Wang et al. 2021 (arXiv:2107.10833), section 3.1, with the strengths of `settings`. One uniform
    number for each value is turned into the Gaussian or the Poisson one, whichever is drawn.
    """
    decide, spread = jax.random.split(key)
    u = jax.random.uniform(decide, (4,))
    gray = u[0] < settings.gray_prob
    sigma = between(u[1], *settings.gaussian_sigma)
    strength = between(u[2], *settings.poisson_scale)
    uniform = jax.random.uniform(spread, image.pixels.shape, minval=2.0**-24)
    uniform = jnp.where(gray, uniform[..., :1], uniform)
    noise = jnp.where(
        u[3] < settings.gaussian_prob,
        sigma / 255 * _normal(uniform),
        strength * poisson_noise(uniform, image, gray),
    )
    return image._replace(pixels=jnp.clip(image.pixels + noise, 0.0, 1.0))


def poisson_noise(
    uniform: Float[Array, 'H W 3'], image: Canvas, gray: Array | bool
) -> Float[Array, 'H W 3']:
    """Returns Poisson(v x) / v - x, where v = 2^ceil(log2(number of distinct values of x)).

    x is the image, or its luminance for grey noise, rounded to 8 bits. As Real-ESRGAN, which
    counts distinct values because the image would have come from so many photons.

    Args:
      uniform: numbers in (0, 1), from which the Poisson numbers are read off.
      image: whose own pixels are counted, those beyond it are not.
      gray: whether to take the luminance.
    """
    luminance = (image.pixels * _LUMINANCE[None, None]).sum(-1, keepdims=True)
    x = jnp.where(gray, luminance, image.pixels)
    levels = jnp.clip(jnp.round(255 * x), 0, 255).astype(jnp.int32)
    inside = (jnp.arange(x.shape[0]) < image.height)[:, None]
    inside &= (jnp.arange(x.shape[1]) < image.width)[None]
    count = distinct_levels(levels, inside)
    power = 32 - jax.lax.clz(count - 1)  # ceil(log2(count)), exactly
    v = jnp.left_shift(1, power).astype(jnp.float32)
    return poisson_quantiles(uniform, levels, v) / v - levels / 255


def distinct_levels(levels: Int[Array, 'H W c'], inside: Array) -> Int[Array, '']:
    """Returns how many of the levels 0 to 255 occur inside: bits in eight words, or-ed together."""
    words = jnp.arange(8)[:, None, None, None]
    bits = jnp.left_shift(jnp.uint32(1), (levels % 32).astype(jnp.uint32))
    here = (levels[None] // 32 == words) & inside[None, :, :, None]
    found = jax.lax.reduce(
        jnp.where(here, bits[None], jnp.uint32(0)), jnp.uint32(0), jax.lax.bitwise_or, (1, 2, 3)
    )
    return jax.lax.population_count(found).sum().astype(jnp.int32)


def poisson_quantiles(
    uniform: Float[Array, '*shape'], levels: Int[Array, '*shape'], v: Float[Array, '']
) -> Float[Array, '*shape']:
    """Returns the smallest k with P(Poisson(v level / 255) <= k) >= uniform, for v up to 256.

    For uniform numbers up to 1 - 2^-20, and for that one beyond, where the sums of float32 end; the
    sums are right to 5e-5.
    The expansion of Cornish and Fisher, Moments and cumulants in the specification of
    distributions, 1938, is less than five counts too high and three too low, so that three
    halvings of a table of 256 x 512 probabilities find the number. `jax.random.poisson`, whose
    rejection loops go on until the last pixel is accepted, takes 8 times as long on CPUs.
    """
    k = jnp.arange(float(_COUNTS))[None]
    mean = (v / 255 * jnp.arange(256.0))[:, None]
    log_mass = jax.scipy.special.xlogy(k, mean) - mean - jax.lax.lgamma(k + 1)
    table = jnp.cumsum(jnp.exp(log_mass), axis=1)
    table = (table / table[:, -1:]).ravel()
    uniform = jnp.minimum(uniform, 1 - 2.0**-20)
    z = _normal(uniform)
    average = levels * (v / 255)
    guess = jnp.floor(average + jnp.sqrt(average) * z + (z * z - 1) / 6)
    found = jnp.maximum(guess.astype(jnp.int32) - 4, 0)
    for step in (4, 2, 1):
        below = jnp.take(table, levels * _COUNTS + found + step - 1, mode='clip') < uniform
        found += jnp.where(below, step, 0)
    return found.astype(jnp.float32)


def _normal(uniform: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Returns the quantiles of the normal distribution."""
    return math.sqrt(2) * jax.lax.erf_inv(2 * uniform - 1)
