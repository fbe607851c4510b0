"""PixPro's loss: pixels of two views that are near each other in the image agree.

Xie et al. 2020 (arXiv:2011.10043), section 3, as the authors' code (zdaxie/PixPro) has it: the
distance is measured in the larger one of the two views' bin diagonals, and an image without any
pair counts as 0.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

REACH = 0.7  # diagonals of a bin


def find_pairs(
    first: Float[Array, 'n 4'], second: Float[Array, 'n 4'], height: int, width: int
) -> Bool[Array, 'n hw hw']:
    """Returns which pixels of two views are near each other.

    Args:
      first: left, top, right and bottom of each view in its image.
      second: likewise of the others.
      height: rows of pixels of either.
      width: columns.
    """
    (place, diagonal), (other, other_diagonal) = (
        _bins(corners, height, width) for corners in (first, second)
    )
    apart = jnp.linalg.norm(place[:, :, None] - other[:, None], axis=-1)
    return apart / jnp.maximum(diagonal, other_diagonal)[:, None, None] < REACH


def _bins(
    corners: Float[Array, 'n 4'], height: int, width: int
) -> tuple[Float[Array, 'n hw 2'], Float[Array, ' n']]:
    """The centers of a view's pixels in its image, and the diagonal of one."""
    counts = jnp.asarray([width, height], jnp.float32)
    sizes = (corners[:, 2:] - corners[:, :2]) / counts[None]
    rows, columns = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing='ij')
    places = jnp.stack([columns.ravel(), rows.ravel()], axis=-1) + 0.5
    centers = corners[:, None, :2] + places[None] * sizes[:, None]
    return centers, jnp.linalg.norm(sizes, axis=-1)


def agreement(
    queries: Float[Array, 'n h w c'], keys: Float[Array, 'n h w c'], pairs: Bool[Array, 'n hw hw']
) -> Float[Array, ' n']:
    """Returns for each image the mean cosine over its pairs, of latents of length 1; 0 without
    any."""
    n, _, _, channels = queries.shape
    queries, keys = (x.reshape(n, -1, channels) for x in (queries, keys))
    cosines = jnp.einsum('nic,njc->nij', queries, keys) * pairs
    return cosines.sum(axis=(1, 2)) / (pairs.sum(axis=(1, 2)) + 1e-6)
