"""Adaptive augmentation of what a discriminator sees, for few images (ADA).

Karras et al. 2020, Training Generative Adversarial Networks with Limited Data (arXiv:2006.06676):
real and generated images are changed at random, each kind of change with a probability p, which
rises while the discriminator is too sure of real images and falls else (section 3). The changes are
those of the groups blit, geom and color (appendix B), which suffice (section 3.2, figure 4).

All changes of places are one map of each image, and all changes of colors one matrix. Pixels
are taken by bilinear interpolation from the image mirrored at its edges, where NVlabs' program
filters at twice the resolution.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from sr_jax.config.settings import check_updates
from sr_jax.errors import InputError

LUMA = (1 / math.sqrt(3),) * 3  # the direction of gray among colors


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The section `config.augmentation`.

    Attributes:
      target: mean of the signs of the real images' logits that p is steered to, such as 0.6; 0
        does not steer p.
      start: p at first; it stays where there is no target.
      images: in so many p moves from 0 to 1, at the quickest.
      every: updates between two moves of p.
    """

    target: float = 0.0
    start: float = 0.0
    images: int = 500_000
    every: int = 4

    def __post_init__(self):
        for key in ('target', 'start'):
            if not 0 <= getattr(self, key) < 1:
                raise InputError(f'config.augmentation.{key} must be in [0, 1)')
        for key in ('images', 'every'):
            if getattr(self, key) < 1:
                raise InputError(f'config.augmentation.{key} must be at least 1')
        check_updates(self, 'every')

    @property
    def ever(self) -> bool:
        """Whether images are ever changed."""
        return self.target > 0 or self.start > 0


class Steering(NamedTuple):
    """What p is steered by.

    Attributes:
      p: the probability of each kind of change.
      signs: sum over the updates since p moved of the mean sign of real images' logits.
    """

    p: Float[Array, '']
    signs: Float[Array, '']


def begin(settings: Augmentation) -> Steering:
    """Returns the steering at the start of a run."""
    return Steering(jnp.asarray(settings.start, jnp.float32), jnp.zeros(()))


def steer(
    settings: Augmentation, old: Steering, sign: Float[Array, ''], step: Array, batch_size: int
) -> Steering:
    """Returns the steering after an update.

    Args:
      settings: of the run.
      old: before it.
      sign: mean sign of the real images' logits in it.
      step: its number, from 0.
      batch_size: images of an update.
    """
    if not settings.target:
        return old
    signs = old.signs + sign
    due = (step + 1) % settings.every == 0
    way = settings.every * batch_size / settings.images
    p = old.p + way * jnp.sign(signs / settings.every - settings.target)
    p = jnp.minimum(jnp.maximum(p, 0), 1)
    return Steering(jnp.where(due, p, old.p), jnp.where(due, 0, signs))


def augment(
    images: Float[Array, 'n h w 3'], p: Float[Array, ''], keys: Array
) -> Float[Array, 'n h w 3']:
    """Returns the images, changed at random with the probability p of each change.

    Args:
      images: in [0, 1].
      p: the probability.
      keys: of each image.
    """
    return jax.vmap(_augment_one, (0, None, 0))(images, p, keys)


def _augment_one(image: Array, p: Array, key: Array) -> Array:
    place_key, color_key = jax.random.split(key)
    height, width = image.shape[:2]
    moved = _sample(image, _draw_places(place_key, p, (height, width)))
    return _recolor(moved, _draw_colors(color_key, p))


def _draw_places(key: Array, p: Array, sides: tuple[int, int]) -> Float[Array, '3 3']:
    """Draws the map from places of the new image to those of the old one, pixels from its middle.

    Mirroring, quarter turns, whole shifts, scaling, a turn, stretching, another turn and a shift.
    Two turns, so that their directions are as likely as each other: each with 1 - sqrt(1 - p).
    """
    applied, uniform, normal = jax.random.split(key, 3)
    chances = jnp.stack([p, p, p, p, 1 - jnp.sqrt(1 - p), p, 1 - jnp.sqrt(1 - p), p])
    yes = jax.random.uniform(applied, (8,)) < chances
    u = jax.random.uniform(uniform, (6,))
    g = jax.random.normal(normal, (4,))
    height, width = sides
    size = jnp.asarray([height, width], jnp.float32)
    whole = jnp.round((2 * u[2:4] - 1) * 0.125 * size)
    mirror = jnp.where(yes[0] & (u[0] < 0.5), -1.0, 1.0)
    quarter = jnp.where(yes[1], jnp.floor(4 * u[1]), 0.0) * (math.pi / 2)
    scale = jnp.exp2(jnp.where(yes[3], 0.2 * g[0], 0.0))
    first = jnp.where(yes[4], (2 * u[4] - 1) * math.pi, 0.0)
    stretch = jnp.exp2(jnp.where(yes[5], 0.2 * g[1], 0.0))
    second = jnp.where(yes[6], (2 * u[5] - 1) * math.pi, 0.0)
    shift = jnp.where(yes[7], 0.125 * size * g[2:4], 0.0)
    steps = (
        _affine(jnp.asarray([1.0, mirror])),
        _turn(quarter),
        _shift(jnp.where(yes[2], whole, 0.0)),
        _affine(jnp.stack([1 / scale, 1 / scale])),
        _turn(first),
        _affine(jnp.stack([stretch, 1 / stretch])),
        _turn(second),
        _shift(shift),
    )
    matrix = jnp.eye(3)
    for step in steps:
        matrix = jnp.matmul(matrix, step, precision=lax.Precision.HIGHEST)
    return matrix


def _affine(factors: Float[Array, '2']) -> Float[Array, '3 3']:
    return jnp.diag(jnp.concatenate([factors, jnp.ones(1)]))


def _turn(angle: Float[Array, '']) -> Float[Array, '3 3']:
    c, s = jnp.cos(angle), jnp.sin(angle)
    zero, one = jnp.zeros(()), jnp.ones(())
    return jnp.stack([c, -s, zero, s, c, zero, zero, zero, one]).reshape(3, 3)


def _shift(pixels: Float[Array, '2']) -> Float[Array, '3 3']:
    return jnp.eye(3).at[:2, 2].set(pixels)


def _sample(image: Float[Array, 'h w c'], matrix: Float[Array, '3 3']) -> Float[Array, 'h w c']:
    """Returns the image whose pixels lie at the mapped places of this one, mirrored at its edges.

    Where nothing moves, it is the image itself, exactly.
    """
    height, width, _ = image.shape
    rows, columns = jnp.mgrid[:height, :width].astype(jnp.float32)
    middle = jnp.asarray([(height - 1) / 2, (width - 1) / 2])
    places = jnp.stack([rows - middle[0], columns - middle[1], jnp.ones_like(rows)], axis=-1)
    places = jnp.matmul(places, matrix.T, precision=lax.Precision.HIGHEST)[..., :2]
    places += middle[None, None]
    below = jnp.floor(places)
    share = places - below
    total = jnp.zeros_like(image)
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = (
                _mirror(below[..., axis].astype(jnp.int32) + step, size)
                for axis, step, size in ((0, dy, height), (1, dx, width))
            )
            weight = jnp.abs(1 - dy - share[..., 0]) * jnp.abs(1 - dx - share[..., 1])
            total += weight[..., None] * image[y, x]
    return total


def _mirror(index: Array, size: int) -> Array:
    """Returns indices within a side, those beyond it mirrored at the outer pixels."""
    period = max(2 * size - 2, 1)
    index = jnp.abs(index) % period
    return jnp.minimum(index, period - index)


def _draw_colors(key: Array, p: Array) -> Float[Array, '4 4']:
    """Draws the matrix of colors: brightness, contrast, luma mirrored, hue turned, saturation."""
    applied, normal, uniform = jax.random.split(key, 3)
    yes = jax.random.uniform(applied, (5,)) < p
    g = jax.random.normal(normal, (3,))
    u = jax.random.uniform(uniform, (2,))
    luma = jnp.asarray(LUMA)
    gray = jnp.outer(luma, luma)
    mirrored = jnp.where(yes[2] & (u[0] < 0.5), 2.0, 0.0)
    angle = jnp.where(yes[3], (2 * u[1] - 1) * math.pi, 0.0)
    cross = jnp.cross(jnp.eye(3), jnp.tile(luma, (3, 1)))
    hue = jnp.cos(angle) * jnp.eye(3) - jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * gray
    saturation = jnp.exp2(jnp.where(yes[4], g[2], 0.0))
    contrast = jnp.exp2(jnp.where(yes[1], 0.5 * g[1], 0.0))
    linear = gray + saturation * (jnp.eye(3) - gray)
    for step in (hue, jnp.eye(3) - mirrored * gray, contrast * jnp.eye(3)):
        linear = jnp.matmul(linear, step, precision=lax.Precision.HIGHEST)
    brightness = jnp.where(yes[0], 0.2 * g[0], 0.0)
    offset = jnp.matmul(linear, jnp.full(3, brightness), precision=lax.Precision.HIGHEST)
    return jnp.eye(4).at[:3, :3].set(linear).at[:3, 3].set(offset)


def _recolor(image: Float[Array, 'h w 3'], matrix: Float[Array, '4 4']) -> Float[Array, 'h w 3']:
    """Returns the image with the matrix applied to its colors, on a scale of [-1, 1]."""
    signed = image * 2 - 1
    colors = jnp.einsum('hwc,dc->hwd', signed, matrix[:3, :3], precision=lax.Precision.HIGHEST)
    return (colors + matrix[:3, 3][None, None] + 1) / 2
