"""The translational consistency loss: a region comes out alike in every crop that it lies in.

Two crops are cut from an image. The network's output on the first serves the ordinary losses too;
on the region that both crops share, its output on the second must agree with it.

After neonbjb, Super Resolution (DL-Art-School), 2021, section "Self Consistency Losses for Single
Image Super Resolution", and its code's TranslationInvarianceLoss, which always has the first crop
in the top left corner. It is for networks that give sensible images already: let the schedule of
its weight begin with 0. All sizes are static, positions may be traced.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.losses import pixel

Position: TypeAlias = Int[Array, '2']  # of a top left pixel: row, column

CORNERS = ('top_left', 'top_right', 'bottom_left', 'bottom_right')


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=['first', 'second', 'region'],
    meta_fields=['size', 'overlap'],
)
@dataclasses.dataclass(frozen=True)
class CropPair:
    """Where two square crops lie in an image, and a region that both contain; all in pixels.

    Attributes:
      first: the crop for the ordinary losses.
      second: the crop that is compared with it.
      region: the shared region.
      size: side of the crops.
      overlap: height and width of the region.
    """

    first: Position
    second: Position
    region: Position
    size: int
    overlap: tuple[int, int]


def corner_crops(
    key: Array, height: int, width: int, size: int, first: str | None = None
) -> CropPair:
    """Draws two different corners of a height x width image, all pairs alike.

    The region is what the crops in all four corners share: 2 size - height by 2 size - width.

    Args:
      key: a random key.
      height: of the image.
      width: of the image.
      size: side of the crops.
      first: one of CORNERS for the first crop, which is drawn too when it is None.

    Raises:
      InputError: crops of this size do not fit or share nothing, or there is no such corner.
    """
    first_key, step_key = jax.random.split(key)
    start = jax.random.randint(first_key, (), 0, 4) if first is None else _corner(first)
    step = jax.random.randint(step_key, (), 1, 4)
    return corner_pair(start, (start + step) % 4, height, width, size)


def corner_pair(
    first: int | Int[Array, ''], second: int | Int[Array, ''], height: int, width: int, size: int
) -> CropPair:
    """Returns the crops in two given corners, which are numbers into CORNERS; see `corner_crops`.

    Args:
      first: the corner of the first crop.
      second: that of the second one.
      height: of the image.
      width: of the image.
      size: side of the crops.

    Raises:
      InputError: crops of this size do not fit or share nothing.
    """
    bottom, right = height - size, width - size
    if not 0 <= max(bottom, right) < size or min(bottom, right) < 0:
        raise InputError(
            f'crops of {size} pixels in the corners of {width}x{height} pixels do not fit or '
            f'share nothing; give them {max(height, width) // 2 + 1} to {min(height, width)}'
        )
    positions = jnp.array([[0, 0], [0, right], [bottom, 0], [bottom, right]], jnp.int32)
    region = jnp.array([bottom, right], jnp.int32)
    overlap = (size - bottom, size - right)
    return CropPair(positions[first], positions[second], region, size, overlap)


def random_crops(key: Array, height: int, width: int, size: int, overlap: int) -> CropPair:
    """Draws two crops anywhere in a height x width image that share overlap x overlap pixels.

    The first is drawn from all positions, the second from all that are near enough; both can be
    the same. The region lies in the middle of all that they share.

    Args:
      key: a random key.
      height: of the image.
      width: of the image.
      size: side of the crops.
      overlap: side of the region that they share.

    Raises:
      InputError: crops of this size do not fit, or cannot overlap so much.
    """
    if not 0 < overlap <= size <= min(height, width):
        raise InputError(
            f'no two crops of {size} pixels that share {overlap} in {width}x{height} pixels: '
            'overlap <= size <= sides must hold'
        )
    first_key, second_key = jax.random.split(key)
    last = jnp.array([height - size, width - size], jnp.int32)
    first = jax.random.randint(first_key, (2,), 0, last + 1)
    lowest = jnp.maximum(first - (size - overlap), 0)
    highest = jnp.minimum(first + (size - overlap), last)
    second = jax.random.randint(second_key, (2,), lowest, highest + 1)
    spare = size - overlap - jnp.abs(first - second)
    region = jnp.maximum(first, second) + spare // 2
    return CropPair(first, second, region, size, (overlap, overlap))


def crop(
    images: Float[Array, 'n h w c'], position: Position, size: int, scale: int = 1
) -> Float[Array, 'n size*scale size*scale c']:
    """Cuts the same square out of all images; position and size are multiplied by `scale`.

    So one pair of positions in small images serves the large ones too.

    Args:
      images: all of one size.
      position: of the upper left corner, (down, right).
      size: side of the square.
      scale: of the images beside those that the position was drawn for.
    """
    return _cut(images, position * scale, (size * scale, size * scale))


def shared_region(
    output: Float[Array, 'n h w c'], position: Position, pair: CropPair, scale: int = 1
) -> Float[Array, 'n h2 w2 c']:
    """Cuts the region that a pair of crops shares out of what a network made of one of them.

    Args:
      output: of the network, `scale` times as large as the crop.
      position: of that crop, `pair.first` or `pair.second`.
      pair: of crops, in pixels of what went in.
      scale: the network's magnification.

    Raises:
      ValueError: the output is not of that size.
    """
    side = pair.size * scale
    if output.shape[1:3] != (side, side):
        raise ValueError(f'the output must have {side}x{side} pixels, not {output.shape[1:3]}')
    height, width = pair.overlap
    return _cut(output, (pair.region - position) * scale, (height * scale, width * scale))


def translational_loss(
    apply: Callable[[Float[Array, 'n size size c']], Float[Array, 'n h2 w2 c2']],
    images: Float[Array, 'n h w c'],
    first_output: Float[Array, 'n h2 w2 c2'],
    pair: CropPair,
    scale: int = 1,
    criterion: str = 'l1',
    detach: bool = False,
) -> Float[Array, '']:
    """Returns the difference, over the shared region, of a network's outputs on two crops.

    Args:
      apply: the network, a function of images alone.
      images: small ones, of which the crops are cut.
      first_output: what `apply` gave for `crop(images, pair.first, pair.size)`; gradient goes
        through it always.
      pair: of crops, from `corner_crops` or `random_crops`.
      scale: the network's magnification.
      criterion: 'l1', 'l2' or 'charbonnier'.
      detach: no gradient goes through the second output.

    Raises:
      InputError: no such criterion.
      ValueError: an output is not `scale` times as large as a crop.
    """
    compare = pixel.find_criterion(criterion)
    second_output = apply(crop(images, pair.second, pair.size))
    if detach:
        second_output = jax.lax.stop_gradient(second_output)
    return compare(
        shared_region(first_output, pair.first, pair, scale),
        shared_region(second_output, pair.second, pair, scale),
    )


def _cut(x: Array, position: Position, size: tuple[int, int]) -> Array:
    corner = (0, position[0], position[1], 0)
    return jax.lax.dynamic_slice(x, corner, (x.shape[0], *size, x.shape[3]))


def _corner(name: str) -> int:
    if name not in CORNERS:
        raise InputError(f'no such corner: {name!r}; {nearest(name, CORNERS)}')
    return CORNERS.index(name)
