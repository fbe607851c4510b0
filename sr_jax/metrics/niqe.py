"""NIQE, how far the statistics of an image's pixels are from those of natural images.

Mittal, Soundararajan, Bovik, Making a "completely blind" image quality analyzer, 2012: local
contrasts of the luma in patches, at the full size and at half of it, against a Gaussian through
those of good images. It looks at no true image. The choices are those of pyiqa 0.1.16, whose
numbers are the same to rounding; numbers by different Gaussians do not compare.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.special
from jaxtyping import Float

from sr_jax.errors import InputError
from sr_jax.images.decoding import to_uint8
from sr_jax.images.resize import cubic_kernel
from sr_jax.metrics.shapes import check_image
from sr_jax.pretrained import niqe as weights
from sr_jax.pretrained.niqe import FEATURES

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of YIQ
PATCH = 96  # pixels a side, at the full size
NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))
SIGMA = 7 / 6
SHARP = 0.75  # of the sharpest patch of an image, from which one is fitted to
SHAPES = 0.2 + 0.001 * np.arange(9801)
MOMENTS = np.exp(
    2 * scipy.special.gammaln(2 / SHAPES)
    - scipy.special.gammaln(1 / SHAPES)
    - scipy.special.gammaln(3 / SHAPES)
)  # squared mean of the absolute values over the mean square, rising with the shape


def _make_window() -> Float[np.ndarray, '7 7']:
    """Returns Gaussian weights, in float32: of flat areas their rounding decides the sign."""
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * SIGMA**2))
    window = np.outer(weights, weights)
    return (window / window.sum()).astype(np.float32).astype(np.float64)


WINDOW = _make_window()


class Gaussian(NamedTuple):
    """What features are compared with."""

    mean: Float[np.ndarray, ' 36']
    covariance: Float[np.ndarray, '36 36']


class Niqe:
    """The metric, ready to measure.

    Args:
      natural: the Gaussian of good images.
    """

    name = 'niqe'

    def __init__(self, natural: Gaussian):
        self._natural = natural

    def __call__(self, image: Float[np.ndarray, 'h w 3']) -> float:
        """Returns the distance, the less the better, of an image in [0, 1], rounded to 8 bits.

        Equation 10 of the paper. What is left beyond whole patches is not looked at. Of a flat
        patch the shapes, 0.2, are in the mean alone.

        Raises InputError where there are fewer than two patches that are not flat, or it is no RGB
        image.
        """
        features = _features(image)
        patches = 'NIQE needs patches of 96x96 pixels that are not flat'
        covariance = _gaussian(features, 2, patches).covariance
        apart = self._natural.mean - np.nanmean(features, axis=0)
        spread = (self._natural.covariance + covariance) / 2
        inverse = np.linalg.pinv(spread, rcond=FEATURES * np.finfo(np.float64).eps)
        return float(np.sqrt(max(apart @ inverse @ apart, 0.0)))


def read(path: str | Path) -> Gaussian:
    """Returns the Gaussian of a file of MATLAB's; raises InputError where it holds none."""
    return Gaussian(*weights.read(path))


def fit(images: Iterable[Float[np.ndarray, '_ _ 3']]) -> Gaussian:
    """Returns the Gaussian through the sharp patches of good images in [0, 1].

    The paper's rule: a patch's sharpness is the mean of its local deviations, and those of at least
    0.75 of the sharpest patch of their image count. An image without a whole patch has none.

    Raises InputError where there are no more patches than features: 37 are needed.
    """
    features = np.concatenate([np.zeros((0, FEATURES)), *(_features(x, SHARP) for x in images)])
    return _gaussian(features, FEATURES + 1, 'a model of NIQE needs sharp patches of 96x96')


def _gaussian(features: Float[np.ndarray, 'n 36'], least: int, complaint: str) -> Gaussian:
    """Returns the Gaussian through the patches that are not flat."""
    features = features[np.isfinite(features).all(axis=1)]
    if len(features) < least:
        raise InputError(f'{complaint}: {least} of them, and there are {len(features)}')
    return Gaussian(features.mean(axis=0), np.cov(features, rowvar=False))


def _features(
    image: Float[np.ndarray, 'h w 3'], sharp: float = 0.0
) -> Float[np.ndarray, 'patches 36']:
    """Returns the features of an image's patches; of flat ones some are NaN.

    Args:
      image: in [0, 1].
      sharp: patches of less sharpness, as a part of the greatest, are left out.
    """
    check_image(image)
    height, width = (side // PATCH * PATCH for side in image.shape[:2])
    if not (height and width):
        return np.zeros((0, FEATURES))
    pixels = to_uint8(image[:height, :width]).astype(np.float32) / 255
    luma = np.rint(255 * (pixels @ LUMA)).astype(np.float64)
    contrast, deviation = _normalize(luma)
    half, _ = _normalize(_halve_rows(_halve_rows(luma).T).T)
    both = [_describe(_split(contrast, PATCH)), _describe(_split(half, PATCH // 2))]
    sharpness = _split(deviation, PATCH).mean(axis=(1, 2))
    return np.concatenate(both, axis=1)[sharpness >= sharp * sharpness.max()]


def _normalize(luma: Float[np.ndarray, 'h w']) -> tuple[np.ndarray, np.ndarray]:
    """Returns the contrasts of pixels with what is around them, and the deviation there."""

    def blur(x: np.ndarray) -> np.ndarray:
        return scipy.ndimage.correlate(x, WINDOW, mode='nearest')

    mean = blur(luma)
    deviation = np.sqrt(np.abs(blur(luma**2) - mean**2) + np.finfo(np.float64).eps)
    return (luma - mean) / (deviation + 1), deviation


def _halve_rows(x: Float[np.ndarray, 'h w']) -> Float[np.ndarray, 'h2 w']:
    """Returns half of the rows, as MATLAB's `imresize` by bicubic makes them."""
    weights = cubic_kernel((np.arange(8) - 3.5) / 2)
    padded = np.pad(x, ((3, 3), (0, 0)), mode='symmetric')
    rows = (padded[i : i + len(x) : 2] for i in range(8))
    return sum(w * r for w, r in zip(weights / weights.sum(), rows, strict=True))


def _split(x: Float[np.ndarray, 'h w'], side: int) -> Float[np.ndarray, 'patches side side']:
    height, width = x.shape
    parts = x.reshape(height // side, side, width // side, side)
    return parts.swapaxes(1, 2).reshape(-1, side, side)


def _describe(patches: Float[np.ndarray, 'n s s']) -> Float[np.ndarray, 'n 18']:
    """Returns the shapes and widths of the contrasts and of the products of neighbors.

    The neighbor of a pixel at a patch's edge lies at the opposite edge.
    """
    shape, left, right = _fit_asymmetric(patches)
    found = [shape, (left + right) / 2]
    for step in NEIGHBORS:
        shape, left, right = _fit_asymmetric(patches * np.roll(patches, step, axis=(1, 2)))
        ratio = scipy.special.gammaln(2 / shape) - scipy.special.gammaln(1 / shape)
        found += [shape, (right - left) * np.exp(ratio), left, right]
    return np.stack(found, axis=1)


def _fit_asymmetric(x: Float[np.ndarray, 'n s s']) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns shape, left and right scale of an asymmetric generalized Gaussian for each patch.

    By its moments (Lasmar, Stitou, Berthoumieu 2009), the shape in steps of 0.001. Where all values
    have one sign, the scales are NaN and the shape is the least.
    """
    x = x.reshape(len(x), -1)
    with np.errstate(invalid='ignore', divide='ignore'):
        left, right = (
            np.sqrt((x * x * there).sum(axis=1) / there.sum(axis=1)) for there in (x < 0, x > 0)
        )
        ratio = left / right
        moment = np.abs(x).mean(axis=1) ** 2 / (x * x).mean(axis=1)
        moment *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
        shape = SHAPES[np.abs(MOMENTS - moment[:, None]).argmin(axis=1)]
        scale = np.exp((scipy.special.gammaln(1 / shape) - scipy.special.gammaln(3 / shape)) / 2)
    return shape, left * scale, right * scale
