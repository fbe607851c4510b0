"""One call that enlarges an image, `sr_jax.upscale`."""

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from sr_jax.errors import InputError
from sr_jax.images.files import read_image
from sr_jax.images.resize import resize_lanczos
from sr_jax.inference import networks
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.upscaler import Upscaler
from sr_jax.inference.windows import Size

KEPT = 4  # upscalers that the function `upscale` keeps


def upscale(
    image: Num[np.ndarray, 'h w 3'] | str | Path,
    weights: str | Path | LoadedNetwork,
    outscale: float | None = None,
    **options: Any,
) -> Num[np.ndarray, 'h2 w2 3']:
    """An image enlarged by a network.

    Args:
      image: RGB, uint8, uint16 or float32 in [0, 1]; or a file, read by the rule of
        `sr_jax.images.files.read_image`.
      weights: what `sr_jax.inference.networks.load` takes, or what it returned. Of the last few
        runs, files and names, the network and what was compiled for it are kept, as they were when
        they were loaded; for many images with a network that was loaded before, take an `Upscaler`.
      outscale: output pixels per pixel along a side; None: the network's scale.
      options: see `Upscaler`.

    Returns:
      The enlarged image, in its own precision.

    Raises:
      InputError: the image or the weights cannot be used; the message says why.
    """
    pixels = read_image(image) if isinstance(image, (str, Path)) else np.asarray(image)
    if isinstance(weights, LoadedNetwork):
        upscaler = Upscaler(weights, **options)
    else:
        upscaler = _load_upscaler(str(weights), tuple(sorted(options.items())))
    factor = upscaler.scale if outscale is None else outscale
    size = scale_size(pixels.shape[:2], factor)
    return resize_lanczos(upscaler(pixels), size)


def scale_size(size: Size, outscale: float) -> Size:
    """The sides of an image times a factor, rounded, at least 1.

    Raises:
      InputError: the factor is not positive and finite.
    """
    if not 0 < outscale < math.inf:
        raise InputError(f'an image cannot be made {outscale} times as large (--outscale)')
    height, width = (max(round(side * outscale), 1) for side in size)
    return height, width


@functools.lru_cache(KEPT)
def _load_upscaler(weights: str, options: tuple[tuple[str, Any], ...]) -> Upscaler:
    return Upscaler(networks.load(weights), **dict(options))
