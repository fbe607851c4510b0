"""Mixup, CutMix and CutBlur of small images and true ones.

Yoo, Ahn, Sohn 2020, "Rethinking Data Augmentation for Image Super-resolution: A Comprehensive
Analysis and a New Strategy" (arXiv:2004.00448), with the numbers of its program. Each is done with
a part of the batches at random, at most one with a batch.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.layers.convolution import upsample_nearest

ALPHA = 1.2  # of mixup's Beta distribution
SIDE, DEVIATION = 0.7, 0.01  # of a box, as a part of the image's


@dataclasses.dataclass(frozen=True)
class MixingSettings:
    """The section `config.mixing`: which part of the batches is mixed, and how.

    Attributes:
      mixup: images are blended with the next one of the batch.
      cutmix: a box of each is the next one's.
      cutblur: of the small image, a box, or all but a box, is what bicubic shrinking leaves of the
        true one; so a network learns where there is nothing to be done. That changes little where
        the degradation is bicubic. (The paper's networks take images as large as the true ones,
        whose pixels are in the box; so they are here for scale 1.)
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    cutblur: float = 0.0

    def __post_init__(self):
        if min(self.mixup, self.cutmix, self.cutblur) < 0 or self.total > 1:
            raise InputError(
                f'config.mixing: mixup={self.mixup}, cutmix={self.cutmix} and '
                f'cutblur={self.cutblur} are parts of the batches: from 0 on, and at most 1 in all'
            )

    @property
    def total(self) -> float:
        """Which part of the batches is mixed at all."""
        return self.mixup + self.cutmix + self.cutblur


def mix(
    settings: MixingSettings,
    key: Key[Array, ''],
    lq: Float[Array, 'n h w 3'],
    *images: Float[Array, 'n h2 w2 3'],
) -> list[Array]:
    """Returns the small images and the large ones of a batch, mixed or not.

    Args:
      settings: of the run.
      key: what is drawn from, once for the whole batch.
      lq: small images.
      images: true ones, and others of the same sides that go with them, all mixed alike.
    """
    if not settings.total:
        return [lq, *images]
    scale = images[0].shape[1] // lq.shape[1]
    kind_key, share_key, box_key, side_key = jax.random.split(key, 4)
    kind = jax.random.uniform(kind_key)
    blended = kind < settings.mixup
    cut = ~blended & (kind < settings.mixup + settings.cutmix)
    blurred = ~blended & ~cut & (kind < settings.total)
    share = jax.random.beta(share_key, ALPHA, ALPHA) * blended if settings.mixup else 0.0
    box = draw_box(box_key, *lq.shape[1:3])[None, :, :, None]
    part = jnp.where(cut, box, share * jnp.ones_like(lq[:1, :, :, :1]))  # of the next image
    mixed = [_add_next(lq, part), *(_add_next(x, upsample_nearest(part, scale)) for x in images)]
    if settings.cutblur:
        inside = box == jax.random.bernoulli(side_key)
        clear = bicubic.degrade(images[0], scale, rounded=False)
        mixed[0] = jnp.where(blurred & inside, clear, mixed[0])
    return mixed


def _add_next(x: Float[Array, 'n h w 3'], part: Array) -> Float[Array, 'n h w 3']:
    return x + part * (jnp.roll(x, 1, axis=0) - x)


def draw_box(key: Key[Array, ''], height: int, width: int) -> Bool[Array, 'height width']:
    """Returns a mask of a box anywhere in an image, about 0.7 of its height and width."""
    side_key, *place_keys = jax.random.split(key, 3)
    ratio = jnp.clip(SIDE + DEVIATION * jax.random.normal(side_key), 0, 1)
    inside = []
    for place_key, length in zip(place_keys, (height, width), strict=True):
        taken = jnp.floor(ratio * length).astype(jnp.int32)
        first = jax.random.randint(place_key, (), 0, length - taken + 1)
        place = jnp.arange(length)
        inside.append((place >= first) & (place < first + taken))
    return inside[0][:, None] & inside[1][None]
