"""One call that enlarges an image, `sr_jax.upscale`."""

import functools
import inspect
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.arrays import give_array, take_layers
from sr_jax.images.decoding import ImageError
from sr_jax.images.files import read_image
from sr_jax.inference import networks
from sr_jax.inference.layers import enlarge, scale_size
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.options import check_names, check_options
from sr_jax.inference.room import check_memory
from sr_jax.inference.upscaler import Upscaler

OPTIONS = set(inspect.signature(Upscaler).parameters) - {'network'}
KEPT = 4  # upscalers that the function `upscale` keeps


def upscale(
    image: Num[np.ndarray, 'h w *channels'] | Image.Image | str | Path,
    weights: str | Path | LoadedNetwork,
    outscale: float | None = None,
    **options: Any,
) -> Num[np.ndarray, 'h2 w2 *channels']:
    """An image enlarged by a network.

    Args:
      image: one image as an array of uint8, uint16, or floating numbers in [0, 1]: RGB [h, w, 3];
        grey, [h, w] or [h, w, 1]; RGBA [h, w, 4] or grey and alpha [h, w, 2], whose alpha is
        enlarged as `sr_jax.inference.layers.enlarge` does. NumPy's arrays, and what `np.asarray`
        makes into one; of Pillow's images those of modes L, LA, RGB, RGBA and I;16. Or a file,
        read by the rule of `sr_jax.images.files.read_image`, which makes RGB of all.
      weights: what `sr_jax.inference.networks.load` takes, or what it returned. Of the last few
        runs, files and names, the network and what was compiled for it are kept, as they were when
        they were loaded; for many images with a network that was loaded before, take an `Upscaler`.
      outscale: output pixels per pixel along a side; None: the network's scale.
      options: see `Upscaler`.

    Returns:
      The enlarged image, with as many axes and channels; uint8 and uint16 stay what they are, and
      floating numbers become float32.

    Raises:
      InputError: the image, the weights or an option cannot be used, the memory does not hold the
        result, or what the network makes is not finite; the message says why.
    """
    if outscale is not None:
        scale_size((1, 1), outscale)
    check_names(options, OPTIONS, 'an image')
    check_options(**options)
    from_file = isinstance(image, str | Path)
    given = read_image(image) if isinstance(image, str | Path) else image
    layers = take_layers(given)
    if isinstance(weights, LoadedNetwork):
        upscaler = Upscaler(weights, **options)
    else:
        if options.get('devices') is not None:
            options['devices'] = tuple(options['devices'])  # a list is no key of what is kept
        upscaler = _load_upscaler(str(weights), tuple(sorted(options.items())))
    outscale = upscaler.scale if outscale is None else outscale
    size = scale_size(layers.color.shape[:2], outscale)
    check_memory(layers, upscaler.scale, size, 1, str(image) if from_file else 'the image')
    try:
        made = enlarge(layers, upscaler, outscale)
    except InputError as error:
        if not from_file:
            raise
        raise ImageError(str(image), str(error)) from error
    return give_array(made, given)


@functools.lru_cache(KEPT)
def _load_upscaler(weights: str, options: tuple[tuple[str, Any], ...]) -> Upscaler:
    return Upscaler(networks.load(weights), **dict(options))
