"""Broken and too small images: passed over by name, up to a limit."""

from collections.abc import Callable, Mapping
from typing import Any

from sr_jax.data.fields import largest_size, sizes_of
from sr_jax.data.protocol import Source
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError


def usable_example(source: Source, index: int, crop_size: int) -> dict[str, Any]:
    """Returns the example, if a crop can be cut from it; raises `ImageError` if not."""
    example = source.example(index)
    size = largest_size(example, source.fields)
    for other in sizes_of(example, source.fields):
        if size is not None and not _fits(other, size):
            raise ImageError(
                source.name(index),
                f'a part of it has {other[1]}x{other[0]} pixels, another one {size[1]}x{size[0]}: '
                'masks are as large as their images, small images a whole number of times as small',
            )
    if size is not None and min(size) < crop_size:
        raise ImageError(
            source.name(index),
            f'{size[1]}x{size[0]} pixels, smaller than the crop of {crop_size}x{crop_size} '
            '(config.data.crop_size)',
        )
    return example


def _fits(size: tuple[int, int], whole: tuple[int, int]) -> bool:
    """Whether a size is a whole number of times as small as another one."""
    factor = whole[0] // size[0] if size[0] else 0
    return (size[0] * factor, size[1] * factor) == tuple(whole)


def still_unusable(source: Source, crop_size: int, reasons: Mapping[str, str]) -> dict[str, str]:
    """Returns those of the rejected images that are in the source and cannot be used even now.

    Args:
      source: that is trained on now.
      crop_size: that is cut now, in pixels.
      reasons: the names of the images that were passed over before, and why.
    """
    found: dict[str, str] = {}
    if not reasons:
        return found
    for index in range(len(source)):
        name = source.name(index)
        if name in reasons and name not in found:  # several examples may have one name
            try:
                usable_example(source, index, crop_size)
            except ImageError as error:
                found[name] = error.reason
    return found


class Rejections:
    """Counts the distinct images that were passed over and tells of each one once.

    Args:
      limit: so many are borne.
      report: is given one line for each new one.
    """

    def __init__(self, limit: int, report: Callable[[str], None]):
        self.reasons: dict[str, str] = {}
        self._limit = limit
        self._report = report

    def add(self, rejected: Mapping[str, str]) -> None:
        """Adds names with their reasons; raises `InputError` when they become too many."""
        for name, reason in rejected.items():
            if name not in self.reasons:
                self.reasons[name] = reason
                self._report(f'skipped image {name}: {reason}')
        if len(self.reasons) > self._limit:
            raise too_many(self.reasons, self._limit)


def too_many(reasons: Mapping[str, str], limit: int) -> InputError:
    """Returns the error that lists the images and says what to do."""
    lines = '\n'.join(f'  {name}: {reason}' for name, reason in reasons.items())
    return InputError(
        f'{len(reasons)} images cannot be used, more than config.data.max_rejected={limit}; '
        f'mend or remove them, or raise the limit:\n{lines}'
    )


def none_left(reasons: Mapping[str, str]) -> InputError:
    """Returns the error for a source without a single image that can be used."""
    lines = '\n'.join(f'  {name}: {reason}' for name, reason in reasons.items())
    return InputError(f'none of the images can be used:\n{lines}')
