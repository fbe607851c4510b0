"""All that belongs to an image through a network: colours, transparency, and what else is said."""

from collections.abc import Callable

import numpy as np

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers
from sr_jax.images.resize import resize_lanczos
from sr_jax.images.transparency import fill_hidden, limit_alpha, resize_transparent
from sr_jax.inference.options import is_finite
from sr_jax.inference.upscaler import Upscaler
from sr_jax.inference.windows import Size

RGBA = 4  # channels


def enlarge(
    layers: Layers,
    upscaler: Upscaler,
    outscale: float,
    progress: Callable[[int, int], None] = lambda done, count: None,
    sample: int = 0,
) -> Layers:
    """An image with all that belongs to it, enlarged.

    A network enlarges the colours, and transparency as if it were a grey image, or both at once if
    it is for RGBA; of grey images the mean of its three channels is kept. Where nothing is seen,
    the network is given the colours that are seen nearest (`sr_jax.images.transparency`).

    Args:
      layers: the image.
      upscaler: the network.
      outscale: output pixels per pixel along a side.
      progress: is given the windows done and their number.
      sample: which of the images that a flow draws.

    Raises:
      InputError: what `Upscaler` raises, or a factor that is none.
    """
    size = scale_size(layers.color.shape[:2], outscale)
    color, alpha = layers.color, layers.alpha
    if alpha is None:
        color = resize_lanczos(upscaler(color, progress, sample), size)
    elif upscaler.channels == RGBA:
        given = np.concatenate([fill_hidden(color, alpha), alpha], axis=-1)
        made = upscaler(given, progress, sample)
        color, alpha = resize_transparent(made[..., :-1], made[..., -1:], size)
    else:
        filled = fill_hidden(color, alpha)
        color = upscaler(filled, lambda done, count: progress(done, 2 * count), sample)
        gray = upscaler(
            np.repeat(alpha, 3, axis=-1),
            lambda done, count: progress(count + done, 2 * count),
            sample,
        )
        alpha = limit_alpha(_average_channels(gray), alpha)
        color, alpha = resize_transparent(color, alpha, size)
    if layers.is_gray:
        color = np.repeat(_average_channels(color), 3, axis=-1)
    return layers._replace(color=color, alpha=alpha)


def scale_size(size: Size, outscale: float) -> Size:
    """The sides of an image times a factor, rounded, at least 1.

    Raises:
      InputError: the factor is not a number, or not positive and finite.
    """
    if not is_finite(outscale) or outscale <= 0:
        raise InputError(f'an image cannot be made {outscale!r} times as large (--outscale)')
    height, width = (max(round(side * outscale), 1) for side in size)
    return height, width


def _average_channels(pixels: np.ndarray) -> np.ndarray:
    """The mean of the channels, rounded where they are integers."""
    mean = pixels.mean(axis=-1, keepdims=True, dtype=np.float32)
    return mean if pixels.dtype == np.float32 else np.rint(mean).astype(pixels.dtype)
