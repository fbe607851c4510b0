"""Broken and too small pictures: passed over by name, up to a limit."""

from collections.abc import Callable, Mapping

import numpy as np

from sr_jax.data.pairs import PicturePairs
from sr_jax.data.protocol import Source
from sr_jax.errors import InputError
from sr_jax.image_io import PictureError


def usable_pictures(source: Source, index: int, crop_size: int) -> dict[str, np.ndarray]:
    """The picture 'hq', and of pairs the small one 'lq', if a crop can be cut from it.

    Raises `PictureError` if not.
    """
    if isinstance(source, PicturePairs):
        pictures = source.pair(index)
    else:
        pictures = {'hq': source.pixels(index)}
    height, width = pictures['hq'].shape[:2]
    if min(height, width) < crop_size:
        raise PictureError(
            source.name(index),
            f'{width}x{height} pixels, smaller than the crop of {crop_size}x{crop_size}',
        )
    return pictures


class Rejections:
    """Counts the distinct pictures that were passed over and tells of each one once.

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
                self._report(f'skipped picture {name}: {reason}')
        if len(self.reasons) > self._limit:
            raise too_many(self.reasons, self._limit)


def too_many(reasons: Mapping[str, str], limit: int) -> InputError:
    """The error that lists the pictures and says what to do."""
    lines = '\n'.join(f'  {name}: {reason}' for name, reason in reasons.items())
    return InputError(
        f'{len(reasons)} pictures cannot be used, more than config.data.max_rejected={limit}; '
        f'mend or remove them, or raise the limit:\n{lines}'
    )


def none_left(reasons: Mapping[str, str]) -> InputError:
    """The error for a source without a single picture that can be used."""
    lines = '\n'.join(f'  {name}: {reason}' for name, reason in reasons.items())
    return InputError(f'none of the pictures can be used:\n{lines}')
