"""Losses on the frequencies of two images: by Fourier transform, and by Haar wavelets."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import pixel


def focal_frequency(
    prediction: Float[Array, 'n h w c'], target: Float[Array, 'n h w c'], alpha: float = 1.0
) -> Float[Array, '']:
    """Returns the focal frequency loss, in float32: the worst frequencies weigh the most.

    The mean of w |d|^2, d the difference of the two orthonormal Fourier transforms of each channel
    of each image, w = |d|^alpha over its largest value in that channel, without gradient: in
    [0, 1]. With alpha 0 it is the mean squared difference of the pixels. Jiang et al. 2021
    (arXiv:2012.12821), section 3; of the published code's options only alpha is here.

    Raises:
      ValueError: the shapes differ, or `alpha` is negative.
    """
    if prediction.shape != target.shape:
        raise ValueError(f'{prediction.shape} cannot be compared with {target.shape}')
    if not alpha >= 0:
        raise ValueError(f'alpha must be at least 0, not {alpha}')
    difference = prediction.astype(jnp.float32) - target.astype(jnp.float32)
    spectrum = jnp.fft.fft2(difference, axes=(1, 2), norm='ortho')
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    weight = jax.lax.stop_gradient(power) ** (alpha / 2)
    largest = weight.max(axis=(1, 2), keepdims=True)
    return jnp.mean(weight / jnp.where(largest > 0, largest, 1) * power)


def haar(
    x: Float[Array, 'n h w c'],
) -> tuple[Float[Array, 'n h/2 w/2 c'], Float[Array, 'n h/2 w/2 3 c']]:
    """Returns one level of the orthonormal Haar transform: the approximation and three details.

    The approximation is half the sum of each 2 x 2 block (of an image in [0, 1] it is in [0, 2]);
    the details are half of left minus right, top minus bottom, and one diagonal minus the other
    (Mallat, A theory for multiresolution signal decomposition, 1989). The sum of squares is kept.

    Raises:
      ValueError: a side is odd.
    """
    n, height, width, channels = x.shape
    if height % 2 or width % 2:
        raise ValueError(f'a Haar transform halves each side, which {height}x{width} cannot be')
    x = x.astype(jnp.float32).reshape(n, height // 2, 2, width // 2, 2, channels)
    a, b, c, d = x[:, :, 0, :, 0], x[:, :, 0, :, 1], x[:, :, 1, :, 0], x[:, :, 1, :, 1]
    details = jnp.stack([a - b + c - d, a + b - c - d, a - b - c + d], axis=3)
    return (a + b + c + d) / 2, details / 2


def wavelet(
    prediction: Float[Array, 'n h w c'],
    target: Float[Array, 'n h w c'],
    levels: int = 1,
    criterion: str = 'l1',
    approximation_weight: float = 1.0,
) -> Float[Array, '']:
    """Returns the difference of the Haar coefficients of two images, in float32.

    The sum over the levels of the criterion's mean over that level's details, plus
    `approximation_weight` times the one over the last approximation. After the wavelet prediction
    loss of Huang et al., Wavelet-SRNet, ICCV 2017, which sums l2 over wavelet packets
    (details split further too) with weights by band; here the details are not split further.

    Args:
      prediction: images.
      target: images of the same shape.
      levels: of the transform, at least 1.
      criterion: 'l1', 'l2' or 'charbonnier'.
      approximation_weight: of the last approximation.

    Raises:
      InputError: no such criterion.
      ValueError: the shapes differ, `levels` is under 1, or a side is no multiple of 2^levels.
    """
    height, width = prediction.shape[1:3]
    if levels < 1 or height % 2**levels or width % 2**levels:
        raise ValueError(f'{height}x{width} pixels have no {levels} levels of Haar wavelets')
    compare = pixel.find_criterion(criterion)
    loss = jnp.zeros((), jnp.float32)
    for _ in range(levels):
        prediction, found = haar(prediction)
        target, wanted = haar(target)
        loss += compare(found, wanted)
    return loss + approximation_weight * compare(prediction, target)
