"""The resolutions of networks whose images double from 4 pixels on, and their channels."""

from sr_jax.errors import InputError

START = 4  # the side of the first
SMALLEST, LARGEST = 8, 1024  # sides of images


def check_size(size: int) -> None:
    """Raises InputError unless images can have that side."""
    if not SMALLEST <= size <= LARGEST or size & (size - 1):
        raise InputError(
            f'size is {size}: the side of the images must be a power of two from {SMALLEST} to '
            f'{LARGEST}'
        )


def sides(size: int) -> list[int]:
    """Returns the resolutions of a network for images of a side, from 4 on."""
    return [2**i for i in range(2, size.bit_length())]


def channels_at(side: int, base: int, most: int) -> int:
    """Returns how many channels there are at a resolution: base / side, but no more than `most`."""
    return max(min(base // side, most), 1)
