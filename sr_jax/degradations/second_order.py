"""Real-ESRGAN's degradation of the second order: blur, resizing, noise and JPEG, twice over."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sr_jax.degradations.blur import blur, delta, draw_final_kernel, draw_kernel
from sr_jax.degradations.canvas import Canvas, fill_canvas
from sr_jax.degradations.draws import between, choice, integer
from sr_jax.degradations.jpeg import BLOCK, compress
from sr_jax.degradations.noise import add_noise
from sr_jax.degradations.resizing import MODES, resize
from sr_jax.degradations.settings import SecondOrderSettings, StageSettings
from sr_jax.degradations.sharpening import sharpen


@functools.partial(jax.jit, static_argnums=(1, 2))
def degrade(
    hq: Float[Array, 'n h w 3'], scale: int, settings: SecondOrderSettings, keys: Key[Array, ' n']
) -> tuple[Float[Array, 'n h2 w2 3'], Float[Array, 'n h w 3']]:
    """Returns (lq, target): images of ceil(side / scale) pixels a side in 8 bits, and targets.

    Wang et al., Real-ESRGAN: training real-world blind super-resolution with pure synthetic data,
    2021 (arXiv:2107.10833), section 3. The targets are `hq`, sharpened if the settings say so.

    Where we differ from the published code: every image has its own draws, also of the factors
    and modes of resizing, the kind of noise, the second blur and the order of the last steps. There
    they are shared by a batch, so that batches have to be mixed from a pool of 180 pairs; none is
    needed here. A resized image is spread over all of its pixels, which keeps it aligned with its
    target (there the first resizing steps by the factor drawn, off by up to a pixel at the far
    edge). JPEG is libjpeg's, with integral qualities and rounded tables, and its blocks begin
    anywhere, which there comes of a crop after the degradation: we degrade just what is trained on.

    Args:
      hq: images in [0, 1].
      scale: of the network.
      settings: ranges and probabilities.
      keys: one an image.
    """
    target = sharpen(hq) if settings.sharpened else hq
    height, width = hq.shape[1:3]
    padding = ((0, 0), (0, -height % scale), (0, -width % scale), (0, 0))
    even = jnp.pad(target, padding, mode='edge')
    lq = jax.vmap(lambda pixels, key: _degrade_one(pixels, scale, settings, key))(even, keys)
    return lq, target


def _degrade_one(
    pixels: Float[Array, 'h w 3'], scale: int, settings: SecondOrderSettings, key: Key[Array, '']
) -> Float[Array, 'h2 w2 3']:
    first, second, sizes = settings.first, settings.second, settings.kernel_sizes
    keys = jax.random.split(key, 9)
    large = pixels.shape[0], pixels.shape[1]
    small = large[0] // scale, large[1] // scale

    image = blur(fill_canvas(pixels), draw_kernel(keys[0], first, sizes))
    image = _resize_randomly(keys[1], image, large, first)
    image = add_noise(keys[2], image, first)
    image = _compress_randomly(keys[3], image, first)

    image = blur(image, draw_kernel(keys[4], second, sizes))
    image = _resize_randomly(keys[5], image, small, second)
    image = add_noise(keys[6], image, second)
    kernel = draw_final_kernel(keys[7], settings.final_sinc_prob, sizes)
    image = _finish(keys[8], image, small, second, kernel)
    return jnp.round(255 * jnp.clip(image.pixels[: small[0], : small[1]], 0.0, 1.0)) / 255


def _resize_randomly(
    key: Key[Array, ''], image: Canvas, size: tuple[int, int], settings: StageSettings
) -> Canvas:
    """Resizes to `size` times a factor that is drawn, on a canvas for the highest factor."""
    low, high = settings.resize_range
    u = jax.random.uniform(key, (3,))
    factors = jnp.stack([between(u[0], 1.0, high), between(u[0], low, 1.0), jnp.float32(1)])
    factor = factors[choice(u[1], settings.resize_probs)]
    mode = integer(u[2], 0, len(MODES) - 1)
    limits = (max(int(size[0] * high), 1), max(int(size[1] * high), 1))
    height, width = (
        jnp.clip(jnp.floor(factor * side).astype(jnp.int32), 1, limit)
        for side, limit in zip(size, limits, strict=True)
    )
    return resize(image, height, width, mode, limits)


def _finish(
    key: Key[Array, ''],
    image: Canvas,
    size: tuple[int, int],
    settings: StageSettings,
    kernel: Float[Array, 'k k'],
) -> Canvas:
    """Brings to the final size with a low-pass, and compresses: in this order or the other.

    Both orders are one: resizing, low-pass, JPEG, resizing, low-pass, of which either the first or
    the last pair does nothing.
    """
    decide, compress_key = jax.random.split(key)
    u = jax.random.uniform(decide, (2,))
    compressed_last = u[0] < 0.5
    mode = integer(u[1], 0, len(MODES) - 1)
    nothing = delta(kernel.shape[0])
    final = jnp.int32(size[0]), jnp.int32(size[1])
    limits = image.pixels.shape[0], image.pixels.shape[1]
    height = jnp.where(compressed_last, final[0], image.height)
    width = jnp.where(compressed_last, final[1], image.width)
    image = resize(image, height, width, mode, limits)
    image = blur(image, jnp.where(compressed_last, kernel, nothing))
    image = _compress_randomly(compress_key, image, settings)
    image = resize(image, *final, mode, size)
    return blur(image, jnp.where(compressed_last, nothing, kernel))


def _compress_randomly(key: Key[Array, ''], image: Canvas, settings: StageSettings) -> Canvas:
    u = jax.random.uniform(key, (3,))
    quality = integer(u[0], *settings.jpeg_quality)
    return compress(image, quality, integer(u[1:], 0, BLOCK - 1))
