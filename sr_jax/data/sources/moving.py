"""Clips made of photographs: a camera that pans, zooms and turns, and things that pass by.

So films can be trained for without any, and their motion is known. All is exact to a part of a
pixel, and sampled by Pillow's bicubic filter.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import CLIP
from sr_jax.data.protocol import Source
from sr_jax.data.sources import open_source
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError, to_float, to_uint8

FORM = 'moving:<source of images>'
FIELDS = {'hq': CLIP}
PATHS = 64  # ways in which one image moves
MAX_SPEED = 3.0  # pixels a frame along an axis
MAX_TURN = 1.0  # degrees a frame
MAX_ZOOM = 0.01  # part of the size a frame
STILL = 0.1  # of clips, in which nothing moves
OCCLUDED = 0.5  # of clips
ROUND = 4  # times as finely as pixels, the edge of what passes by is drawn


class Path(NamedTuple):
    """How a square window moves over an image: a place, and changes a frame.

    Attributes:
      center: down and right, in pixels of the image.
      speed: down and right, in pixels a frame.
      angle, turn: in radians, and a frame.
      zoom: the logarithm of the factor that a frame adds.
    """

    center: tuple[float, float]
    speed: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    turn: float = 0.0
    zoom: float = 0.0

    def coefficients(self, time: int, size: int) -> tuple[float, ...]:
        """Returns Pillow's six numbers of an affine map, from places in the window at a time to
        places in the image."""
        angle, factor = self.angle + self.turn * time, np.exp(self.zoom * time)
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        down, right = (c + v * time for c, v in zip(self.center, self.speed, strict=True))
        half = size / 2
        return (
            *(cos, -sin, right - half * (cos - sin)),
            *(sin, cos, down - half * (sin + cos)),
        )


def move(
    image: UInt8[np.ndarray, 'h w 3'], path: Path, frames: int, size: int
) -> list[Image.Image]:
    """Returns what a window sees of an image; beyond its edges it is mirrored."""
    corners = np.array([(y, x) for y in (0, size) for x in (0, size)])
    maps = [path.coefficients(time, size) for time in range(frames)]
    seen = [
        [(d * x + e * y + f, a * x + b * y + c) for y, x in corners] for a, b, c, d, e, f in maps
    ]
    low = np.floor(np.min(seen, axis=(0, 1))).astype(int) - 2
    high = np.ceil(np.max(seen, axis=(0, 1))).astype(int) + 2
    rows, columns = (
        _mirror(np.arange(low[axis], high[axis]), image.shape[axis]) for axis in (0, 1)
    )
    region = Image.fromarray(image[rows][:, columns])
    kind, filter = Image.Transform.AFFINE, Image.Resampling.BICUBIC
    return [
        region.transform((size, size), kind, (a, b, c - low[1], d, e, f - low[0]), filter)
        for a, b, c, d, e, f in maps
    ]


def _mirror(index: np.ndarray, size: int) -> np.ndarray:
    index = index % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)


class MovingImages:
    """Clips of images, each of which moves in `PATHS` ways.

    Args:
      images: the images.
      frames: of a clip.
      size: height and width of a clip.
    """

    fields = FIELDS

    def __init__(self, images: Source, frames: int, size: int):
        self._images, self._frames, self._size = images, frames, size

    def __len__(self) -> int:
        return PATHS * len(self._images)

    def name(self, index: int) -> str:
        """Returns what messages call the clip: as its image."""
        return self._images.name(index // PATHS)

    def example(self, index: int) -> dict[str, Any]:
        """Returns the clip as `{'hq': [t, h, w, 3]}`; raises `ImageError`."""
        rng = np.random.default_rng(index)
        image, other = self._read(index // PATHS), int(rng.integers(len(self._images)))
        frames = move(image, _draw_path(image, self._size, rng), self._frames, self._size)
        if rng.random() < OCCLUDED:
            frames = _pass_by(frames, self._read(other), rng)
        return {'hq': np.stack([np.asarray(frame) for frame in frames])}

    def _read(self, index: int) -> UInt8[np.ndarray, 'h w 3']:
        image = self._images.example(index)['hq']
        if min(image.shape[:2]) < self._size:
            raise ImageError(
                self._images.name(index),
                f'{image.shape[1]}x{image.shape[0]} pixels, smaller than clips of '
                f'{self._size}x{self._size} (config.data.crop_size)',
            )
        return image if image.dtype == np.uint8 else to_uint8(to_float(image))


def _draw_path(image: np.ndarray, size: int, rng: np.random.Generator) -> Path:
    down, right = (float(rng.uniform(size / 2, side - size / 2)) for side in image.shape[:2])
    if rng.random() < STILL:
        return Path((down, right))
    speed = rng.uniform(-MAX_SPEED, MAX_SPEED, 2)
    turn = np.radians(rng.uniform(-MAX_TURN, MAX_TURN))
    zoom = rng.uniform(-MAX_ZOOM, MAX_ZOOM)
    return Path((down, right), (float(speed[0]), float(speed[1])), 0.0, float(turn), float(zoom))


def _pass_by(
    frames: list[Image.Image], image: np.ndarray, rng: np.random.Generator
) -> list[Image.Image]:
    """Returns the frames with an ellipse of another image, which moves in its own way, before."""
    size = frames[0].width
    covers = move(image, _draw_path(image, size, rng), len(frames), size)
    center, speed = rng.uniform(0, size, 2), rng.uniform(-MAX_SPEED, MAX_SPEED, 2)
    radii = rng.uniform(size / 8, size / 3, 2)
    shown = []
    for time, (frame, cover) in enumerate(zip(frames, covers, strict=True)):
        mask = _ellipse(size, center + time * speed, radii)
        shown.append(Image.composite(cover, frame, mask))
    return shown


def _ellipse(
    size: int, center: Float[np.ndarray, '2'], radii: Float[np.ndarray, '2']
) -> Image.Image:
    mask = Image.new('L', (ROUND * size, ROUND * size))
    box = (ROUND * np.concatenate([center - radii, center + radii])).tolist()
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask.resize((size, size), Image.Resampling.BOX)


def open_part(rest: str, part: str, settings: DataSettings) -> MovingImages:
    """Opens the images and lets them move: see `sr_jax.data.sources`."""
    images = open_source(rest, part, settings)
    if 'hq' not in images.fields or images.fields['hq'] is CLIP:
        raise InputError(f'moving:{rest}: give a source of images, such as moving:photos')
    return MovingImages(images, settings.frames, settings.crop_size)
