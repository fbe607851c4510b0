"""Mixup and CutMix: images of a batch mixed with each other, and their labels likewise.

Zhang et al. 2017 (arXiv:1710.09412) and Yun et al. 2019 (arXiv:1905.04899), a share drawn once for
each batch, and of both one at random, as timm does.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def mix(
    key: Array,
    images: Float[Array, 'n h w c'],
    targets: Float[Array, 'n classes'],
    mixup: float,
    cutmix: float,
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'n classes']]:
    """Returns images and targets, each mixed with those of the next example of the batch.

    Args:
      key: what is drawn from.
      images: of a batch.
      targets: the probability of each class.
      mixup: of the share's Beta distribution, for mixup; 0: it takes no part.
      cutmix: likewise of CutMix.
    """
    if not (mixup or cutmix):
        return images, targets
    which, share_key, box_key = jax.random.split(key, 3)
    cut = jax.random.bernoulli(which, 0.5) if mixup and cutmix else jnp.bool_(cutmix > 0)
    alpha = jnp.where(cut, cutmix, mixup)
    share = jax.random.beta(share_key, alpha, alpha)  # of the own image
    box = draw_box(box_key, images.shape[1], images.shape[2], share)
    taken = jnp.where(cut, box.astype(images.dtype), 1 - share)[None, :, :, None]
    others = jnp.roll(images, 1, axis=0)
    part = taken.mean()  # exactly what of the others is in, at the borders too
    mixed = images + taken * (others - images)
    return mixed, targets + part * (jnp.roll(targets, 1, axis=0) - targets)


def draw_box(
    key: Array, height: int, width: int, share: Float[Array, '']
) -> Bool[Array, 'height width']:
    """Returns a mask of a box around a pixel at random, of 1 - share of the area, cut at the
    borders."""
    reach = jnp.sqrt(1 - share) / 2
    inside = []
    for own, side in zip(jax.random.split(key), (height, width), strict=True):
        middle = jax.random.randint(own, (), 0, side)
        place = jnp.arange(side)
        half = reach * side
        inside.append((place >= jnp.floor(middle - half)) & (place < jnp.floor(middle + half)))
    return inside[0][:, None] & inside[1][None, :]
