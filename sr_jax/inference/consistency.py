"""The image nearest to an enlarged one that, shrunk again, is the small image.

What an enlargement adds is guessed, but its low frequencies are known: bicubically shrunk it should
be the given image. Moving it to the nearest image of which that holds is a linear filter after
the network: with D for shrinking, x + D' (D D')^-1 (y - D x), the least change x + D+ (y - D x) of
Bahat and Michaeli 2020, "Explorable Super Resolution" (arXiv:1912.01839), section 3. Their filter
works by frequency; this one is exact at the edges as well, where MATLAB's mirror image takes over.
It never leads away from the true image: that is among those of which it holds.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy  # which imports its parts when they are used, as not every command does
from jaxtyping import Float

from sr_jax.errors import InputError
from sr_jax.images.resize import cubic_matrix

TOLERANCE = 1 / 1020  # a quarter of one of 256 levels
MAX_ITERATIONS = 20


class Shrinking(NamedTuple):
    """Shrinking along a side.

    Attributes:
      matrix: from the pixels of the large image to those of the small one.
      gram: the matrix times its transpose, as `scipy.linalg.solveh_banded` takes it, lower half.
    """

    matrix: 'scipy.sparse.csr_array'
    gram: Float[np.ndarray, 'band side']


def make_consistent(
    image: Float[np.ndarray, 'h2 w2 c'], lq: Float[np.ndarray, 'h w c']
) -> Float[np.ndarray, 'h2 w2 c']:
    """The image in [0, 1] nearest to `image` that `imresize` shrinks to `lq`.

    Filtered and clipped to [0, 1] in turn, until the shrunk one is within a quarter of one of 256
    levels of `lq`, at most 20 times: a small image that no image shrinks to, such as one with
    JPEG's artifacts, is met as nearly as that gives.

    Args:
      image: in [0, 1], each side a whole number of times as long as that of `lq`.
      lq: in [0, 1].

    Raises:
      InputError: the sides are no such multiples.
    """
    scale = image.shape[0] // max(lq.shape[0], 1)
    if image.shape[:2] != (lq.shape[0] * scale, lq.shape[1] * scale) or not scale:
        raise InputError(
            f'an enlargement of {image.shape[1]}x{image.shape[0]} pixels is no whole number of '
            f'times as large as {lq.shape[1]}x{lq.shape[0]}'
        )
    sides = [_make_shrinking(side, scale) for side in image.shape[:2]]
    for _ in range(MAX_ITERATIONS):
        missing = lq - _apply_along_both([side.matrix for side in sides], image)
        if np.abs(missing).max(initial=0) <= TOLERANCE:
            break
        for axis, side in enumerate(sides):
            missing = _solve(side.gram, missing, axis)
        change = _apply_along_both([side.matrix.T for side in sides], missing)
        image = np.clip(image + change, 0, 1)
    return image.astype(np.float32)


@functools.lru_cache(maxsize=16)
def _make_shrinking(side: int, scale: int) -> Shrinking:
    matrix = scipy.sparse.csr_array(cubic_matrix(side, 1 / scale))
    gram = (matrix @ matrix.T).tocoo()
    band = int((gram.row - gram.col).max()) + 1
    lower = np.zeros((band, gram.shape[0]))
    below = gram.row >= gram.col
    lower[(gram.row - gram.col)[below], gram.col[below]] = gram.data[below]
    return Shrinking(matrix, lower)


def _apply_along_both(matrices: 'list[scipy.sparse.csr_array]', x: np.ndarray) -> np.ndarray:
    """A matrix times the columns of an image, another one times its rows, for each channel."""
    for axis, matrix in enumerate(matrices):
        moved = np.moveaxis(x, axis, 0)
        made = matrix @ moved.reshape(len(moved), -1)
        x = np.moveaxis(made.reshape(-1, *moved.shape[1:]), 0, axis)
    return x


def _solve(gram: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """The inverse of a banded matrix times an image, along an axis."""
    moved = np.moveaxis(x, axis, 0)
    found = scipy.linalg.solveh_banded(gram, moved.reshape(len(moved), -1), lower=True)
    return np.moveaxis(found.reshape(moved.shape), 0, axis)
