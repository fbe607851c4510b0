"""Encoded images to arrays, by one rule for every kind of image, without losing precision."""

import contextlib
import functools
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Num, Shaped, UInt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from sr_jax.errors import InputError
from sr_jax.images import chunks, formats, metadata, sixteen_bits, tiff_numbers, tiff_planes
from sr_jax.images.metadata import Metadata

_Read = TypeVar('_Read')
_BY_CONTENT = tuple(sorted(set(formats.READ.values()) - set(formats.BY_NAME_ONLY)))

# What Pillow's plugins warn about is metadata (EXIF, MPO and APNG tables) that is not used here.
# Entered once, since `warnings.catch_warnings` is not safe in the threads that read images.
warnings.filterwarnings('ignore', category=UserWarning, module=r'PIL\.\w+ImagePlugin')

_MOST_EIGHT_BITS = 255
_IS_THUMBNAIL = 1  # the bit of a TIFF's NewSubfileType
TURNED = (5, 6, 7, 8)  # orientations that exchange height and width
_GRAY = ('1', 'L', 'LA', 'La', 'I;16', 'I;16B', 'I;16L')
_KEEP_PROFILE = (*_GRAY, 'RGB', 'RGBA', 'RGBa', 'RGBX', 'P', 'PA')  # CMYK's is not of RGB

_PIXEL_LIMIT_LOCK = threading.Lock()


class ImageError(InputError):
    """One image cannot be used: `name` says which, `reason` why."""

    def __init__(self, name: str, reason: str):
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f'{self.name}: {self.reason}'


class Layers(NamedTuple):
    """All that an image file holds of one image, or an array that stands for one.

    Attributes:
      color: RGB, uint8 or uint16, upright; of arrays also float32 in [0, 1].
      alpha: opacity in the same type, or None where all is opaque.
      is_gray: whether the file has one channel of colour.
      metadata: what else is said of the image.
    """

    color: Num[np.ndarray, 'h w 3']
    alpha: Num[np.ndarray, 'h w 1'] | None = None
    is_gray: bool = False
    metadata: Metadata = Metadata()


class Timing(NamedTuple):
    """How an animation is played.

    Attributes:
      durations: of its frames, in milliseconds.
      plays: how often; 0: for ever.
    """

    durations: tuple[float, ...]
    plays: int


class Outline(NamedTuple):
    """What the header of an image file tells.

    Attributes:
      size: height and width, upright; of several pages, those of the first.
      frames: how many frames an animation has; 1 of others.
      pages: how many images a TIFF has; 1 of others.
      orientation: how it lies as it is stored, 1 (upright) to 8, by EXIF.
    """

    size: tuple[int, int]
    frames: int = 1
    pages: int = 1
    orientation: int = 1


def decode(encoded: bytes, name: str) -> Num[np.ndarray, 'h w 3']:
    """Decodes the bytes of an image file by the rule of `sr_jax.images.files.read_image`.

    Raises `ImageError`, which calls the image `name`.
    """
    return _composite(decode_layers(encoded, name))


def decode_layers(encoded: bytes, name: str) -> Layers:
    """Decodes the first image of a file, keeping transparency and metadata apart.

    Raises `ImageError`, which calls the image `name`.
    """
    layers, is_bare = _read_or_strip(_decode_first, encoded, name)
    if not is_bare:
        return layers
    left_out = ('texts, EXIF and the colour profile, which cannot be read',)
    return layers._replace(metadata=layers.metadata._replace(left_out=left_out))


def decode_indices(encoded: bytes, name: str) -> UInt[np.ndarray, 'h w']:
    """Returns the numbers that the pixels of a mask hold, of a palette the places in it.

    Raises `ImageError`, which calls it `name`, when it is broken, or has several channels.
    """
    with _name_errors(name), _open(encoded, name) as image:
        if image.mode not in ('L', 'P'):
            raise ImageError('', f'a mask has one channel of 8 bits, not the kind {image.mode!r}')
        return np.asarray(image)


def decode_all(encoded: bytes, name: str) -> Iterator[tuple[Layers, float]]:
    """Decodes each frame of an animation, or each page of a TIFF, with its milliseconds.

    Frames come as they are seen: what one leaves of the one before is filled in. A still image that
    an animated PNG shows where animations are unknown, and thumbnails in a TIFF, are left out.

    Raises `ImageError`, which calls the image `name`.
    """
    with _name_errors(name), _open(encoded, name) as image:
        for index in _list_images(image):
            image.seek(index)
            layers = _read_layers(image, encoded, name, index)
            yield layers, float(image.info.get('duration') or 0)


def decode_timing(encoded: bytes, name: str) -> Timing:
    """Reads how an animation is played, without keeping its frames.

    Raises `ImageError`, which calls the image `name`.
    """
    with _name_errors(name), _open(encoded, name) as image:
        durations = []
        for index in _list_images(image):
            image.seek(index)
            if image.format in ('WEBP', 'AVIF'):
                image.load()  # they know it only then
            durations.append(float(image.info.get('duration') or 0))
        loop = image.info.get('loop')
        if loop is not None and image.format == 'GIF':
            loop = loop and loop + 1  # it counts the repetitions
        return Timing(tuple(durations), 1 if loop is None else int(loop))


def decode_outline(encoded: bytes, name: str) -> Outline:
    """Reads what the header of an image file tells, without decoding its pixels.

    Raises `ImageError`, which calls the image `name`.
    """
    return _read_or_strip(_read_outline, encoded, name)[0]


def to_float(pixels: Shaped[np.ndarray, '*shape']) -> Float[np.ndarray, '*shape']:
    """Converts uint8 or uint16 to float32 in [0, 1]; float32 is returned as it is.

    Raises `InputError` for other types, whose largest number is nobody's white.
    """
    if pixels.dtype == np.float32:
        return pixels
    if pixels.dtype.kind != 'u' or pixels.dtype.itemsize > 2:
        raise InputError(f'pixels of type {pixels.dtype}: take uint8, uint16 or float32 in [0, 1]')
    return np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)


def from_float(image: Float[np.ndarray, '*shape'], dtype: np.dtype) -> Num[np.ndarray, '*shape']:
    """Inverts `to_float`: rounds [0, 1] to uint8 or uint16; float32 is returned as it is."""
    if dtype == np.float32:
        return image
    scaled = image * np.float32(np.iinfo(dtype).max)
    return np.rint(scaled, out=scaled).astype(dtype)


def to_uint8(image: Shaped[np.ndarray, '*shape']) -> UInt[np.ndarray, '*shape']:
    """Rounds [0, 1] to the nearest of 256 levels; values outside are clipped.

    Raises `InputError` when a value is not finite, and for integers, which are levels already.
    """
    image = np.asarray(image)
    if image.dtype.kind in 'iub':
        raise InputError(f'pixels of type {image.dtype}: take floating numbers in [0, 1]')
    if not np.isfinite(image).all():
        raise InputError('the image has values that are not finite')
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


@contextlib.contextmanager
def _name_errors(name: str) -> Iterator[None]:
    """Whatever Pillow raises of a file becomes an ImageError that names it."""
    try:
        yield
    except ImageError as error:
        raise ImageError(name, error.reason) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            name, 'not a PNG, JPEG, WebP, TIFF, GIF, AVIF or other image that Pillow can read here'
        ) from error
    except sixteen_bits.PixelsError as error:
        raise ImageError(name, str(error)) from error
    except MemoryError as error:
        raise ImageError(name, 'it does not fit into the memory') from error
    except Exception as error:  # a damaged file raises nearly anything in a decoder
        raise ImageError(name, f'damaged image ({error or type(error).__name__})') from error


def _open(encoded: bytes, name: str) -> ImageFile.ImageFile:
    """Opens an image; more pixels than `PIL.Image.MAX_IMAGE_PIXELS` are refused.

    Pillow itself only warns between once and twice that limit, so its check is put aside for the
    moment of opening and done here. The lock keeps two threads from restoring each other's limit.
    """
    of_name = formats.READ.get(PurePath(name).suffix.lower())
    kinds = (*_BY_CONTENT, of_name) if of_name in formats.BY_NAME_ONLY else _BY_CONTENT
    with _PIXEL_LIMIT_LOCK:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            image = Image.open(io.BytesIO(encoded), formats=kinds)
        except UnidentifiedImageError as error:
            if told := tiff_numbers.describe_unread(encoded):
                raise ImageError('', told) from error
            raise
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    width, height = image.size
    if limit is not None and width * height > limit:
        raise ImageError(
            '',
            f'{width}x{height} pixels are more than the limit of {limit}, which guards against '
            f'files made to fill the memory: raise it (--max-pixels {width * height}, in Python '
            'PIL.Image.MAX_IMAGE_PIXELS), or cut it into parts',
        )
    return image


def _read_or_strip(
    read: Callable[[bytes, str], _Read], encoded: bytes, name: str
) -> tuple[_Read, bool]:
    """Reads a file; a PNG that cannot be read is tried once more without its metadata.

    Returns what was read, and whether it was without.
    """
    with _name_errors(name):
        try:
            return read(encoded, name), False
        except Exception:
            bare = chunks.without_metadata(encoded)
            if bare is None:
                raise
            return read(bare, name), True


def _read_outline(encoded: bytes, name: str) -> Outline:
    with _open(encoded, name) as image:
        width, height = image.size
        orientation = metadata.read_orientation(image, encoded)
        size = (width, height) if orientation in TURNED else (height, width)
        count = len(_list_images(image))
        if image.format == 'TIFF':
            return Outline(size, pages=count, orientation=orientation)
        return Outline(size, count, orientation=orientation)


def _decode_first(encoded: bytes, name: str) -> Layers:
    with _open(encoded, name) as image:
        return _read_layers(image, encoded, name)


def _list_images(image: ImageFile.ImageFile) -> list[int]:
    """The numbers of those in a file that a person sees: frames, or pages.

    The further images of a JPEG (MPO) are previews, depths and the like: only the first counts.
    """
    count = 1 if image.format == 'MPO' else getattr(image, 'n_frames', 1)
    if image.format == 'TIFF' and count > 1:
        kinds = []
        for index in range(count):
            image.seek(index)
            kinds.append(sixteen_bits.tiff_tag(image, ExifTags.Base.NewSubfileType) or 0)
        image.seek(0)
        return [i for i, kind in enumerate(kinds) if i == 0 or not kind & _IS_THUMBNAIL]
    return list(range(1 if image.info.get('default_image') and count > 1 else 0, count))


def _reopen(encoded: bytes, name: str, index: int) -> ImageFile.ImageFile:
    image = _open(encoded, name)
    image.seek(index)
    return image


def _read_layers(
    image: ImageFile.ImageFile, encoded: bytes, name: str, index: int = 0
) -> Layers:
    """Reads the image that a file was opened or wound to."""
    tiff_numbers.check_numbers(image)
    is_gray = image.mode in _GRAY or any(
        sixteen_bits.raw_mode(tile.args).startswith(('LA;16', 'I;16')) for tile in image.tile
    )
    keep_profile = image.mode in _KEEP_PROFILE
    is_deep = sixteen_bits.is_sixteen_bit(image)
    if is_deep and index and image.format != 'TIFF':
        raise ImageError('', 'an animation of 16 bits is not supported; save it with 8')
    if is_deep and tiff_planes.are_apart(image):
        color, alpha = tiff_planes.read(image, encoded, functools.partial(_open, name=name))
    elif is_deep:
        color, alpha = sixteen_bits.read(image, functools.partial(_reopen, encoded, name, index))
    else:
        color, alpha = _read_eight_bits(image)
    found, orientation = metadata.read(image, keep_profile)
    if alpha is not None:
        alpha = turn_upright(alpha, orientation) if _is_transparent(alpha) else None
    return Layers(turn_upright(color, orientation), alpha, is_gray, found)


def _is_transparent(alpha: Num[np.ndarray, 'h w 1']) -> bool:
    return bool((alpha != np.iinfo(alpha.dtype).max).any())


def _composite(layers: Layers) -> Num[np.ndarray, 'h w 3']:
    color = layers.color
    if layers.alpha is not None:
        opacity = to_float(layers.alpha)
        color = to_float(color) * opacity + (1 - opacity)
    return np.ascontiguousarray(color)


def _read_eight_bits(image: ImageFile.ImageFile) -> tuple[np.ndarray, np.ndarray | None]:
    if image.format == 'PPM' and image.mode == 'RGB' and _is_deep_ppm(image.tile):
        raise ImageError('', 'a PPM of more than 8 bits is not supported; save it as a PNG')
    if image.mode.startswith(('I', 'F')):
        raise ImageError(
            '', f'pixels of kind {image.mode!r} are not supported; save it with 8 or 16 bits'
        )
    if not image.has_transparency_data:
        return np.asarray(image.convert('RGB')), None
    pixels = np.asarray(image.convert('RGBA'))
    return pixels[..., :3], pixels[..., 3:]


def _is_deep_ppm(tiles: list[Any]) -> bool:
    """Whether Pillow will scale the levels of a PPM down to 256 of them."""
    return any(tile.codec_name == 'ppm' and tile.args[-1] > _MOST_EIGHT_BITS for tile in tiles)


def turn_upright(
    pixels: Num[np.ndarray, 'h w c'], orientation: int
) -> Num[np.ndarray, 'h_upright w_upright c']:
    """Applies an EXIF orientation (1 to 8; anything else means upright)."""
    if orientation in TURNED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
