"""Arrays that a person has for images: what they are taken for, and which are refused."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Num
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers

TYPES = 'uint8 (0 to 255), uint16 (0 to 65535), or floating numbers in [0, 1]'
TOLERANCE = 1e-3  # beyond [0, 1], a quarter of one of 256 levels: rounding leaves so much
MODES = ('L', 'LA', 'RGB', 'RGBA', 'I;16')  # of Pillow's images, whose arrays are as they seem
KINDS = {1: 'grey', 2: 'grey and alpha', 3: 'RGB', 4: 'RGBA'}  # by channels


def take_pixels(image: Num[np.ndarray, '*shape']) -> Num[np.ndarray, '*shape']:
    """Returns an array as uint8, uint16 or float32 in [0, 1].

    Floating numbers of any precision become float32, and up to 0.001 beyond [0, 1] are clipped.

    Raises:
      InputError: it is empty, of another type, or its numbers are not finite or beyond [0, 1].
    """
    if not image.size:
        raise InputError(f'an image of shape {image.shape} is empty')
    if image.dtype.kind == 'u' and image.dtype.itemsize <= 2:
        return image.astype(image.dtype.newbyteorder('='), copy=False)
    if image.dtype == bool:
        raise InputError(
            f'an image of type bool could mean anything: give {TYPES}. Black and white become such '
            'by image * np.uint8(255)'
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise InputError(
            f'an image of type {image.dtype} could mean anything: give {TYPES}. Numbers of 0 to '
            '255 become such by .astype(np.uint8)'
        )
    least, most = float(image.min()), float(image.max())
    if not np.isfinite([least, most]).all():
        raise InputError('the image has values that are not finite')
    if least < -TOLERANCE or most > 1 + TOLERANCE:
        raise InputError(
            f'an image of {image.dtype} from {least:g} to {most:g}: floating numbers must lie in '
            '[0, 1]. Divide by what stands for white (255?), or clip what little is beyond '
            '(np.clip(image, 0, 1))'
        )
    pixels = image.astype(np.float32, copy=False)
    return np.clip(pixels, 0, 1) if least < 0 or most > 1 else pixels


def take_layers(image: Any) -> Layers:
    """Returns what an array or an image of Pillow's shows.

    Args:
      image: [h, w] or [h, w, 1] of grey, [h, w, 2] of grey and alpha, [h, w, 3] of RGB or [h, w, 4]
        of RGBA, of a type that `take_pixels` takes; or an image of Pillow's of one of `MODES`.

    Raises:
      InputError: it is neither.
    """
    if isinstance(image, Image.Image):
        if image.mode not in MODES or 'transparency' in image.info:
            raise InputError(
                f'an image of Pillow\'s of mode {image.mode!r}: take image.convert("RGB"), or '
                'image.convert("RGBA") where it has transparency'
            )
    try:
        pixels = np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:  # of lists, and of others' arrays
        raise InputError(
            f'what should be an image ({type(image).__name__}) makes no array of NumPy: {error}'
        ) from error
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in KINDS:
        raise InputError(_describe_shape(pixels.shape))
    pixels = take_pixels(pixels)
    channels = pixels.shape[2]
    color, alpha = (pixels, None) if channels % 2 else (pixels[..., :-1], pixels[..., -1:])
    is_gray = color.shape[2] == 1
    color = np.repeat(color, 3, axis=2) if is_gray else np.ascontiguousarray(color)
    return Layers(color, alpha, is_gray)


def give_array(layers: Layers, like: Any) -> Num[np.ndarray, 'h w *c']:
    """Returns layers as an array of the channels that `like` had for `take_layers`."""
    color = layers.color[..., :1] if layers.is_gray else layers.color
    pixels = color if layers.alpha is None else np.concatenate([color, layers.alpha], axis=2)
    return pixels[..., 0] if np.ndim(like) == 2 else pixels


def _describe_shape(shape: tuple[int, ...]) -> str:
    kinds = ', '.join(f'{count} ({kind})' for count, kind in KINDS.items())
    taken = f'give one image of [height, width], or with channels last: {kinds}'
    if len(shape) == 3 and shape[0] in KINDS:
        taken += '. np.moveaxis(image, 0, -1) puts the first axis last'
    return f'an array of shape {shape} is no image: {taken}'
