"""What a network invents where there is nothing, and how much of the fine structure it makes.

The grain, ringing and checkerboards of networks that were trained against a discriminator are seen
best where the true image is smooth. A network can do without them by blurring everything, so the
one number is to be read beside the other. Both are ours, after no publication.
"""

import numpy as np
from jaxtyping import Bool, Float

from sr_jax.errors import InputError
from sr_jax.metrics.color import rgb_to_ycbcr
from sr_jax.metrics.shapes import check_images

WINDOW = 7  # side of the window of means and deviations, in pixels
FLAT = 3 / 255  # largest standard deviation of a window that counts as flat


def flat_error(images: Float[np.ndarray, 'n h w 3'], references: Float[np.ndarray, '...']) -> float:
    """Returns the root mean square of the fine part of the error where the truth is flat.

    Errors are of Y, in units of [0, 1]; their fine part is what is left when the mean over the 7 x
    7 pixels around is taken off, so that a wrong brightness or colour of an area does not count.
    The truth is flat where its Y deviates by at most 3/255 in those 49 pixels. The mean is one
    over all such pixels of all images. 0 for equal images.

    Args:
      images: images in [0, 1].
      references: what they should be.

    Raises:
      ValueError: the shapes differ.
      InputError: they are no RGB images, smaller than the window, or nowhere flat.
    """
    image, reference = _luma(images, references)
    flat = _find_flat(reference)
    if not flat.any():
        raise InputError('no part of these images is flat: take more images')
    return _rms(_subtract_means(image - reference)[flat])


def detail(images: Float[np.ndarray, 'n h w 3'], references: Float[np.ndarray, '...']) -> float:
    """Returns how strong the fine structure is beside the truth's, where that is not flat.

    The ratio of the root mean squares of the fine parts of Y (see `flat_error`), of images and
    of truth: 1 for equal images, less for blurred ones, more for those that are too sharp. It
    does not ask whether the structure is the right one.

    Args:
      images: images in [0, 1].
      references: what they should be.

    Raises:
      ValueError: the shapes differ.
      InputError: they are no RGB images, smaller than the window, or flat everywhere.
    """
    image, reference = _luma(images, references)
    textured = ~_find_flat(reference)
    if not textured.any():
        raise InputError('these images are flat everywhere: take others')
    return _rms(_subtract_means(image)[textured]) / _rms(_subtract_means(reference)[textured])


def _luma(images: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if images.shape != references.shape:
        raise ValueError(f'images of different shapes: {images.shape} and {references.shape}')
    check_images(images)
    height, width = images.shape[1:3]
    if min(height, width) < WINDOW:
        raise InputError(f'images of {width}x{height} pixels have no window of {WINDOW}x{WINDOW}')
    return rgb_to_ycbcr(images)[..., 0], rgb_to_ycbcr(references)[..., 0]


def _means(y: Float[np.ndarray, 'n h w']) -> Float[np.ndarray, 'n h_valid w_valid']:
    """Returns means over the windows that lie wholly inside."""
    windows = np.lib.stride_tricks.sliding_window_view(y, (WINDOW, WINDOW), axis=(1, 2))
    return windows.mean(axis=(-2, -1))


def _subtract_means(y: Float[np.ndarray, 'n h w']) -> Float[np.ndarray, 'n h_valid w_valid']:
    """Returns what is left of each pixel when its window's mean is taken off."""
    edge = WINDOW // 2
    return y[:, edge:-edge, edge:-edge] - _means(y)


def _find_flat(y: Float[np.ndarray, 'n h w']) -> Bool[np.ndarray, 'n h_valid w_valid']:
    means = _means(y)
    return _means(np.square(y)) - np.square(means) <= FLAT**2


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
