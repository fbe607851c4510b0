"""FID, how far two sets of images are apart: the Fréchet distance of their features.

Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium,
2017 (arXiv:1706.08500), equation 6, over the 2048 last features of the InceptionV3 of
`sr_jax.models.inception`, of images resized to 299 x 299.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import Float
from PIL import Image

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.images.decoding import to_uint8
from sr_jax.metrics.shapes import check_image
from sr_jax.models import inception

SIDE = 299  # pixels that the network is given
BATCH = 8  # images at a time


class Statistics(NamedTuple):
    """The Gaussian through a set of features.

    Attributes:
      number: of images.
      mean: of their features.
      factor: its transpose times it is the unbiased covariance. It has as many rows as there are
        images, or features where these are fewer.
    """

    number: int
    mean: Float[np.ndarray, ' features']
    factor: Float[np.ndarray, 'rows features']


def statistics(features: Float[np.ndarray, 'n features']) -> Statistics:
    """Returns the Gaussian through the features of images, in float64.

    Raises:
      InputError: there is a single image, or none: it has no covariance.
    """
    number, width = features.shape
    if number < 2:
        raise InputError(f'FID needs at least two images, and there is {number or "none"}')
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    factor = (features - mean) / np.sqrt(number - 1)
    if number > width:
        factor = np.linalg.qr(factor, mode='r')
    return Statistics(number, mean, factor)


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """Returns the squared Fréchet distance of two Gaussians, 0 for equal ones.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With C = F^T F, the eigenvalues of (C1 C2)^(1/2)
    are the singular values of F1 F2^T. So no root is taken of a matrix, which of few images is
    singular: pytorch-fid then adds 1e-6 to both diagonals, or finds imaginary parts.

    Raises:
      ValueError: their features are not as many.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(f'{first.mean.size} features and {second.mean.size} features')
    apart = np.sum((first.mean - second.mean) ** 2)
    spread = np.sum(first.factor**2) + np.sum(second.factor**2)
    common = np.linalg.svd(first.factor @ second.factor.T, compute_uv=False).sum()
    return max(float(apart + spread - 2 * common), 0.0)


def resize_bilinear(image: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, '299 299 3']:
    """Resizes as pytorch-fid: bilinear between pixel centres, not antialiased when shrinking.

    PyTorch's `interpolate(mode='bilinear', align_corners=False)`, edges repeated.
    """
    for axis in (0, 1):
        side = image.shape[axis]
        place = np.clip((np.arange(SIDE) + 0.5) * side / SIDE - 0.5, 0, side - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, side - 1)
        share = np.float32(place - below).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        image = (1 - share) * image.take(below, axis) + share * image.take(above, axis)
    return image


def resize_bicubic(image: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, '299 299 3']:
    """Resizes as clean-fid (Parmar et al. 2022, arXiv:2104.11222): Pillow's antialiased bicubic.

    Each channel by itself as float32, clipped to [0, 1] and not rounded. clean-fid's network takes
    the 256 levels as (x - 128) / 128, where pytorch-fid's, and ours, takes (x - 127.5) / 127.5.
    """
    channels = [
        np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for plane in np.moveaxis(np.ascontiguousarray(image, np.float32), -1, 0)
    ]
    return np.clip(np.stack(channels, axis=-1), 0, 1)


RESIZES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'bilinear': resize_bilinear,
    'bicubic': resize_bicubic,
}


class Fid:
    """The metric, ready to measure sets of images.

    Args:
      module: `sr_jax.models.inception`'s.
      variables: its weights, as `sr_jax.inference.networks.load` reads them from a file.
      resize: 'bilinear', as pytorch-fid, or 'bicubic', as clean-fid; numbers by one do not compare
        with the other's.

    Raises:
      InputError: there is no such way to resize.
    """

    def __init__(self, module: nn.Module, variables: Mapping, resize: str = 'bilinear'):
        if resize not in RESIZES:
            raise InputError(f'FID does not resize by {resize!r}; {nearest(resize, RESIZES)}')
        self.name = f'fid_{resize}'
        self._resize = RESIZES[resize]
        self._variables = variables
        self._apply = jax.jit(functools.partial(_apply_exactly, module))

    def prepare(self, image: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, '299 299 3']:
        """Rounds an image in [0, 1], of any size, to 8 bits and then resizes it.

        Raises InputError where it is no RGB image.
        """
        check_image(image)
        return self._resize(to_uint8(image).astype(np.float32) / 255)

    def features(
        self, prepared: Sequence[Float[np.ndarray, '299 299 3']]
    ) -> Float[np.ndarray, 'n features']:
        """Returns what the network finds in up to `BATCH` images from `prepare`."""
        filled = np.zeros((BATCH, SIDE, SIDE, 3), np.float32)
        filled[: len(prepared)] = prepared
        return np.asarray(self._apply(self._variables, filled))[: len(prepared)]


def _apply_exactly(module: nn.Module, variables: Mapping, images: jax.Array) -> Any:
    """Applies the network; GPUs would round the factors of products to 10 bits."""
    with jax.default_matmul_precision('highest'):
        return module.apply(variables, images)


class ImageSet:
    """Images that come one by one, of which only the features are kept.

    Args:
      fid: the metric.
    """

    def __init__(self, fid: Fid):
        self._fid = fid
        self._waiting: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def add(self, image: Float[np.ndarray, 'h w 3']) -> None:
        """Takes in an image in [0, 1], of any size."""
        self._waiting.append(self._fid.prepare(image))
        if len(self._waiting) == BATCH:
            self._flush()

    def statistics(self) -> Statistics:
        """Returns the Gaussian through their features.

        Raises InputError for fewer than two images.
        """
        self._flush()
        return statistics(np.concatenate([np.zeros((0, inception.FEATURES)), *self._found]))

    def _flush(self) -> None:
        if self._waiting:
            self._found.append(self._fid.features(self._waiting))
            self._waiting = []


def few_images(number: int, width: int) -> str:
    """Returns what to say of a FID over so many images; '' for more of them than features."""
    if number > width:
        return ''
    return (
        f'FID over {number} images, no more than its {width} features, is biased upwards: '
        'compare it only with numbers over the same images'
    )
