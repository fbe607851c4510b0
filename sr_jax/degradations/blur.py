"""Blur kernels: Gaussian ones, generalised and with a plateau, and the circular low-pass."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from sr_jax.degradations.canvas import Canvas, reflect_places, take_pixels
from sr_jax.degradations.draws import between, choice, integer
from sr_jax.degradations.settings import StageSettings

_NODES = 48  # of the quadrature of J1, exact in float32 up to an argument of some 60


def draw_kernel(
    key: Key[Array, ''], settings: StageSettings, sizes: tuple[int, ...]
) -> Float[Array, 'k k']:
    """Draws the kernel of one round: one of `settings.KERNELS`, a low-pass, or none (a delta).

    As Real-ESRGAN: the cutoff of a low-pass is from pi / 3 to pi for sides under 13, otherwise from
    pi / 5; a Gaussian has two standard deviations from `blur_sigma` and an angle, or one for the
    isotropic kinds; the exponent is 1 for plain Gaussians, and otherwise from its range under 1 or
    from the one over 1, each half of the time.

    Args:
      key: of the image.
      settings: of the round.
      sizes: smallest and largest side in pixels, odd.
    """
    u = jax.random.uniform(key, (10,))
    side = draw_side(u[0], sizes)
    cutoff = between(u[1], jnp.where(side < 13, math.pi / 3, math.pi / 5), math.pi)
    kind = choice(u[2], settings.kernel_probs)
    sigma = between(u[3:5], *settings.blur_sigma)
    sigma = jnp.where(kind % 2 == 0, sigma[0], sigma)
    angle = between(u[5], -math.pi, math.pi)
    generalized = draw_exponent(u[6], u[7], settings.generalized_beta)
    plateau = draw_exponent(u[6], u[7], settings.plateau_beta)
    exponent = jnp.where(kind < 2, 1.0, jnp.where(kind < 4, generalized, plateau))
    shaped = shaped_kernel(sigma, angle, exponent, kind >= 4, side, sizes[1])
    sinc = sinc_kernel(cutoff, side, sizes[1])
    kernel = jnp.where(u[8] < settings.sinc_prob, sinc, shaped)
    return jnp.where(u[9] < settings.blur_prob, kernel, delta(sizes[1]))


def draw_final_kernel(
    key: Key[Array, ''], sinc_prob: float, sizes: tuple[int, ...]
) -> Float[Array, 'k k']:
    """Draws the last kernel: a low-pass, or none (a delta)."""
    u = jax.random.uniform(key, (3,))
    cutoff = between(u[0], math.pi / 3, math.pi)
    kernel = sinc_kernel(cutoff, draw_side(u[1], sizes), sizes[1])
    return jnp.where(u[2] < sinc_prob, kernel, delta(sizes[1]))


def draw_side(u: Float[Array, ''], sizes: tuple[int, ...]) -> Int[Array, '']:
    """Returns an odd side between the two, ends included, each alike."""
    smallest, largest = sizes
    return smallest + 2 * integer(u, 0, (largest - smallest) // 2)


def draw_exponent(
    u: Float[Array, ''], which: Float[Array, ''], limits: tuple[float, ...]
) -> Float[Array, '']:
    """Returns an exponent from the part of a range under 1, or from the one over 1, each alike."""
    one = min(max(1.0, limits[0]), limits[1])
    return jnp.where(which < 0.5, between(u, limits[0], one), between(u, one, limits[1]))


def shaped_kernel(
    sigma: Float[Array, '2'],
    angle: Float[Array, ''],
    exponent: Float[Array, ''],
    plateau: Array | bool,
    side: Int[Array, ''],
    largest: int,
) -> Float[Array, 'k k']:
    """Returns exp(-q^exponent / 2), or with a plateau 1 / (1 + q^exponent), with the sum 1.

    q = x^T S^-1 x, S having the standard deviations `sigma` along axes turned by `angle`: Liu et
    al., Estimating Generalized Gaussian Blur Kernels for Out-of-Focus Image Deblurring, 2020, and
    Wang et al. 2021 (arXiv:2107.10833), section 3.1. It is `side` pixels a side, with zeros around
    it up to `largest`.
    """
    y, x = _offsets(largest)
    along = (x * jnp.cos(angle) + y * jnp.sin(angle)) / sigma[0]
    athwart = (y * jnp.cos(angle) - x * jnp.sin(angle)) / sigma[1]
    q = (along**2 + athwart**2) ** exponent
    return _normalize(jnp.where(plateau, 1 / (1 + q), jnp.exp(-0.5 * q)), side)


def sinc_kernel(
    cutoff: Float[Array, ''], side: Int[Array, ''], largest: int
) -> Float[Array, 'k k']:
    """Returns the circular low-pass c J1(c r) / (2 pi r), with the sum 1 and zeros around it.

    It rings and overshoots as sharpening and strong compression do: Wang et al. 2021
    (arXiv:2107.10833), section 3.3.

    Args:
      cutoff: c, in radians a pixel.
      side: in pixels, odd.
      largest: of the array.
    """
    y, x = _offsets(largest)
    r = jnp.sqrt(x**2 + y**2)
    safe = jnp.where(r > 0, r, 1.0)
    ring = cutoff * bessel_j1(cutoff * safe) / (2 * math.pi * safe)
    return _normalize(jnp.where(r > 0, ring, cutoff**2 / (4 * math.pi)), side)


def bessel_j1(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Returns the Bessel function J1 for |x| up to 60, in float32 to about 1e-6.

    By Bessel's integral, the mean of cos(t - x sin t) over t from 0 to pi, at the midpoints of 48
    equal parts: the integrand is periodic, so that the error is of the order of J95(x).
    """
    t = (jnp.arange(_NODES) + 0.5) * (math.pi / _NODES)
    t = t.reshape((_NODES,) + (1,) * x.ndim)
    return jnp.cos(t - x[None] * jnp.sin(t)).mean(0)


def delta(side: int) -> Float[Array, 'k k']:
    """Returns the kernel that leaves an image as it is."""
    return jnp.zeros((side, side)).at[side // 2, side // 2].set(1.0)


def blur(image: Canvas, kernel: Float[Array, 'k k']) -> Canvas:
    """Correlates every channel with a kernel of odd side; edges continue in mirror image.

    By shifted sums, a row of the kernel at a time: on CPUs that is 7 times as fast as XLA's grouped
    convolution, and unlike a Fourier transform, which XLA gathers onto every device, it stays split
    by images. A kernel of 21 x 21 takes 0.4 GFLOP for a canvas of 384 x 384.
    """
    height, width = image.pixels.shape[:2]
    side = kernel.shape[0]
    reach = side // 2
    rows = reflect_places(jnp.arange(-reach, height + reach), image.height)
    columns = reflect_places(jnp.arange(-reach, width + reach), image.width)
    planes = take_pixels(image.pixels, rows, columns).transpose(2, 0, 1)

    def add_row(i, total):
        strip = jax.lax.dynamic_slice_in_dim(planes, i, height, axis=1)
        weights = kernel[i]
        return total + sum(weights[j] * strip[:, :, j : j + width] for j in range(side))

    total = jax.lax.fori_loop(0, side, add_row, jnp.zeros((3, height, width)))
    return image._replace(pixels=total.transpose(1, 2, 0))


def _offsets(side: int) -> tuple[Float[Array, 'k 1'], Float[Array, '1 k']]:
    """Returns how far down and to the right of the middle the pixels lie."""
    line = jnp.arange(side) - float(side // 2)
    return line[:, None], line[None]


def _normalize(kernel: Float[Array, 'k k'], side: Int[Array, '']) -> Float[Array, 'k k']:
    """Returns the kernel cut down to a side, with the sum 1."""
    y, x = _offsets(kernel.shape[0])
    inside = jnp.maximum(jnp.abs(y), jnp.abs(x)) <= side // 2
    kernel = jnp.where(inside, kernel, 0.0)
    return kernel / kernel.sum()
