"""Colours beside transparency, so that what is hidden never shows.

The colour of a pixel of alpha 0 is never seen, and is mostly black. A network or a filter mixes it
into its neighbours, whose alpha then shows it: a fringe around everything that stands free.
"""

import numpy as np
import scipy  # which imports its parts when they are used, as not every command does
from jaxtyping import Num

from sr_jax.images.resize import lanczos, to_levels

SEEN = 1 / 510  # an alpha that 8 bits round to more than 0


def fill_hidden(
    color: Num[np.ndarray, 'h w c'], alpha: Num[np.ndarray, 'h w 1']
) -> Num[np.ndarray, 'h w c']:
    """Gives pixels of alpha 0 the colour of the nearest pixel that is seen; others stay.

    Where nothing is seen, nothing changes.
    """
    hidden = alpha[..., 0] == 0
    if not hidden.any() or hidden.all():
        return color
    nearest = scipy.ndimage.distance_transform_edt(
        hidden, return_distances=False, return_indices=True
    )
    return color[tuple(nearest)]


def limit_alpha(
    enlarged: Num[np.ndarray, 'h2 w2 1'], alpha: Num[np.ndarray, 'h w 1']
) -> Num[np.ndarray, 'h2 w2 1']:
    """Clips an enlarged alpha to what it was in the 3 x 3 pixels around.

    A network that makes 2 of 0 and 253 of 255 would leave a veil on what is transparent, and holes
    in what is not.

    Args:
      enlarged: what a network made of it, a whole number of times as large.
      alpha: as it was.
    """
    scale = enlarged.shape[0] // alpha.shape[0]
    least, most = (
        find(alpha[..., 0], 3, mode='nearest').repeat(scale, axis=0).repeat(scale, axis=1)
        for find in (scipy.ndimage.minimum_filter, scipy.ndimage.maximum_filter)
    )
    return np.clip(enlarged, least[..., None], most[..., None])


def resize_transparent(
    color: Num[np.ndarray, 'h w c'], alpha: Num[np.ndarray, 'h w 1'], size: tuple[int, int]
) -> tuple[Num[np.ndarray, 'h2 w2 c'], Num[np.ndarray, 'h2 w2 1']]:
    """Resizes by `resize_lanczos`' filter, each colour weighted by its alpha.

    Over any background that is the composed image resized, but for what is clipped and rounded.
    """
    if color.shape[:2] == size:
        return color, alpha
    opacity = alpha[..., 0].astype(np.float32)
    if alpha.dtype != np.float32:
        opacity /= np.iinfo(alpha.dtype).max
    resized = lanczos(opacity, size)
    seen = resized > SEEN
    divisor = np.where(seen, resized, 1)
    made = np.empty((*size, color.shape[-1]), color.dtype)
    for channel in range(color.shape[-1]):
        plane = color[..., channel].astype(np.float32)
        weighted = lanczos(plane * opacity, size) / divisor
        made[..., channel] = to_levels(np.where(seen, weighted, lanczos(plane, size)), color.dtype)
    return made, to_levels(lanczos(alpha[..., 0].astype(np.float32), size), alpha.dtype)[..., None]
