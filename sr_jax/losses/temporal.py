"""Losses of clips: what a network makes of a film that runs forth and back, and of its motions."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import pixel

# Of TecoGAN's discriminator: what its blocks' features differ by on average, by which they are
# divided, and the number they are brought to (`lib/Teco.py`).
BLOCK_DIFFERENCES = (12.0, 14.0, 24.0, 100.0)
BLOCK_WEIGHT = 0.02


def ping_pong_loss(images: Float[Array, 'n t h w c'], criterion: str = 'l1') -> Float[Array, '']:
    """Returns how the first half of clips differs from the second, which runs back to the start.

    The mean over all frames but the last and only one that is there once: Chu et al. 2020
    (arXiv:1811.09393), equation 3, with their code's L1. DL-Art-School has the sum over frames.

    Args:
      images: of `t = 2 k - 1` frames: frame i and frame t - 1 - i are of the same one.
      criterion: 'l1', 'l2' or 'charbonnier'.

    Raises:
      ValueError: the number of frames is even, or is 1.
    """
    t = images.shape[1]
    if t < 3 or not t % 2:
        raise ValueError(f'a clip that runs forth and back has 3, 5, 7 or more frames, not {t}')
    forth, back = images[:, : t // 2], images[:, : t // 2 : -1]
    return pixel.find_criterion(criterion)(forth, back)


def block_loss(
    real: Sequence[Float[Array, 'n _h _w _c']], fake: Sequence[Float[Array, 'n _h _w _c']]
) -> Float[Array, '']:
    """Returns the differences of a discriminator's features of real and of generated images.

    Absolute ones, summed over channels, each block's brought to about the same size: TecoGAN's.
    """
    return sum(
        (
            BLOCK_WEIGHT / usual * jnp.abs(x - y).sum(-1).mean()
            for usual, x, y in zip(BLOCK_DIFFERENCES, real, fake, strict=True)
        ),
        jnp.zeros(()),
    )
