"""Tones of high dynamic range as a network knows them, and exactly back.

A network has seen images for ordinary screens, in which white is near 1. HLG is made to be looked
at on those as it is (ITU-R BT.2100), so it stays. PQ is not: its signal of white, 203 cd/m^2 by
ITU-R BT.2408, is 0.58, and half of its range is brighter. For each of R, G, B:

    L = the light of the signal, over 203 cd/m^2         SMPTE ST 2084
    T = L (1 + L / M^2) / (1 + L),  M = 10000 / 203      Reinhard et al. 2002, equation 4
    tone = T^(1 / 2.4)                                   ITU-R BT.1886

White becomes 0.75, as in HLG, and 10000 cd/m^2 becomes 1. Below 0 the curve goes on in mirror
image. Its inverse is the solution of a quadratic equation, so a network that changes nothing gives
every code value back. A change that it makes of the brightest parts counts for more on the way
back: 1.6 times at 1000 cd/m^2 what it would in PQ, 6 times at 10000, and less below 350.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# SMPTE ST 2084
M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
PEAK, WHITE = 10000.0, 203.0
MAX_LIGHT = PEAK / WHITE
GAMMA = 2.4

PQ = 'smpte2084'


@functools.partial(jax.jit, static_argnames='transfer')
def to_tone(rgb: Float[Array, '*shape'], transfer: str) -> Float[Array, '*shape']:
    """Returns RGB in the tone that a network knows: of PQ as above, all else as it is."""
    if transfer != PQ:
        return rgb
    light = _pq_to_light(jnp.abs(rgb))
    mapped = light * (1 + light / MAX_LIGHT**2) / (1 + light)
    return jnp.sign(rgb) * mapped ** (1 / GAMMA)


@functools.partial(jax.jit, static_argnames='transfer')
def from_tone(rgb: Float[Array, '*shape'], transfer: str) -> Float[Array, '*shape']:
    """Returns the signal of a tone: the inverse of `to_tone`."""
    if transfer != PQ:
        return rgb
    mapped = jnp.abs(rgb) ** GAMMA
    # The positive root of L^2 / M^2 + (1 - T) L - T = 0, in the form that does not cancel.
    linear = 1 - mapped
    root = jnp.sqrt(linear**2 + 4 * mapped / MAX_LIGHT**2)
    dark = 2 * mapped / jnp.maximum(linear + root, 1e-9)
    bright = (root - linear) * MAX_LIGHT**2 / 2
    return jnp.sign(rgb) * _light_to_pq(jnp.where(linear > 0, dark, bright))


def _pq_to_light(signal: Array) -> Array:
    power = signal ** (1 / M2)
    return (jnp.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1) * MAX_LIGHT


def _light_to_pq(light: Array) -> Array:
    power = (light / MAX_LIGHT) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2
