"""What of the training images is nearest to a drawn one, so that memorizing is seen.

Every place of every image is compared, mirrored and turned as the training may have done it, in
images whose sides are a quarter as long. The squared distances to all places of an image are
correlations, which come from Fourier transforms.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
from jaxtyping import Float

from sr_jax.metrics.shapes import check_image

SHRINK = 4  # pixels of a side that become one


class Match(NamedTuple):
    """The nearest place of an image.

    Attributes:
      mse: mean squared difference in the shrunk images.
      name: of the image.
      crop: the place, as the sample lies, in [0, 1].
    """

    mse: float
    name: str
    crop: Float[np.ndarray, 's s 3']


class NearestCrops:
    """Looks at images one by one, and keeps the nearest of them for each sample.

    Args:
      samples: images in [0, 1], their side a multiple of SHRINK.
      count: how many images are kept for each.
      flips: whether the training mirrored images.
      rotations: whether it turned them.
    """

    def __init__(
        self,
        samples: Float[np.ndarray, 'n s s 3'],
        count: int,
        flips: bool = False,
        rotations: bool = False,
    ):
        self.found: list[list[Match]] = [[] for _ in samples]
        self._count, self._side = count, samples.shape[1]
        self._ways = [
            (turns, mirrored)
            for turns in range(4 if rotations else 1)
            for mirrored in ((False, True) if flips else (False,))
        ]
        self._queries = [[shrink(_turn(s, *way)) for way in self._ways] for s in samples]

    def add(self, name: str, image: Float[np.ndarray, 'h w 3']) -> None:
        """Compares all places of an image, which is at least as large as a sample."""
        small = shrink(image)
        size = [scipy.fft.next_fast_len(side, real=True) for side in small.shape[:2]]
        transform = scipy.fft.rfft2(small, size, axes=(0, 1))
        places = _sum_windows(np.square(small).sum(axis=2), self._side // SHRINK)
        for queries, found in zip(self._queries, self.found, strict=True):
            distances = [
                places - 2 * _correlate(transform, query, size, places.shape) + np.sum(query**2)
                for query in queries
            ]
            way = int(np.argmin([d.min() for d in distances]))
            row, column = np.unravel_index(distances[way].argmin(), places.shape)
            found.append(self._cut(name, image, int(row), int(column), way, queries[way]))
            found.sort(key=lambda match: match.mse)
            del found[self._count :]

    def _cut(
        self, name: str, image: np.ndarray, row: int, column: int, way: int, query: np.ndarray
    ) -> Match:
        """Returns the crop at a place of the shrunk image, turned back as the sample lies."""
        top, left = SHRINK * row, SHRINK * column
        crop = image[top : top + self._side, left : left + self._side]
        turns, mirrored = self._ways[way]
        back = np.flip(crop, axis=1) if mirrored else crop
        return Match(float(np.mean((shrink(crop) - query) ** 2)), name, np.rot90(back, -turns))


def shrink(image: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'h2 w2 3']:
    """Returns the means of squares of SHRINK x SHRINK pixels; a rest at the edges is left out."""
    check_image(image)
    height, width = (side // SHRINK for side in image.shape[:2])
    cut = np.asarray(image[: height * SHRINK, : width * SHRINK], np.float64)
    return cut.reshape(height, SHRINK, width, SHRINK, 3).mean(axis=(1, 3))


def _turn(image: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    turned = np.rot90(image, turns)
    return np.flip(turned, axis=1) if mirrored else turned


def _sum_windows(values: Float[np.ndarray, 'h w'], side: int) -> Float[np.ndarray, 'h2 w2']:
    """Returns the sums over all squares of a side."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]


def _correlate(
    transform: np.ndarray, query: np.ndarray, size: list[int], shape: tuple[int, ...]
) -> np.ndarray:
    """Returns the products of a query with all places of the image of a transform."""
    other = np.conj(scipy.fft.rfft2(query, size, axes=(0, 1)))
    products = scipy.fft.irfft2((transform * other).sum(axis=2), size)
    return np.asarray(products[: shape[0], : shape[1]])
