"""All that belongs to an image through a network: colours, transparency, and what else is said."""

from collections.abc import Callable

import numpy as np

from sr_jax.images.decoding import Layers
from sr_jax.images.resize import resize_lanczos
from sr_jax.inference.upscale import scale_size
from sr_jax.inference.upscaler import Upscaler


def enlarge(
    layers: Layers,
    upscaler: Upscaler,
    outscale: float,
    progress: Callable[[int, int], None] = lambda done, count: None,
    sample: int = 0,
) -> Layers:
    """An image with all that belongs to it, enlarged.

    A network enlarges the colours, and transparency as if it were a grey image, or both at once if
    it is for RGBA; of grey images the mean of its three channels is kept.

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
    at_once = layers.alpha is not None and upscaler.channels == 4
    passes = 1 if layers.alpha is None or at_once else 2
    given = np.concatenate([layers.color, layers.alpha], axis=-1) if at_once else layers.color
    color = upscaler(given, lambda done, count: progress(done, passes * count), sample)
    color, alpha = resize_lanczos(color, size), layers.alpha
    if at_once:
        color, alpha = color[..., :3], color[..., 3:]
    elif alpha is not None:
        gray = upscaler(
            np.repeat(alpha, 3, axis=-1),
            lambda done, count: progress(count + done, passes * count),
            sample,
        )
        alpha = _average_channels(resize_lanczos(gray, size))
    if layers.is_gray:
        color = np.repeat(_average_channels(color), 3, axis=-1)
    return layers._replace(color=color, alpha=alpha)


def _average_channels(pixels: np.ndarray) -> np.ndarray:
    """The mean of the channels, rounded."""
    return np.rint(pixels.mean(axis=-1, keepdims=True, dtype=np.float32)).astype(pixels.dtype)
