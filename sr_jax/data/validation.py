"""Validation batches: the same tiles of the same examples every time."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import Example, Fields, cut, largest_size, unit_of
from sr_jax.data.protocol import Source
from sr_jax.data.rejection import Rejections, none_left, usable_example
from sr_jax.data.sources import choose_fields, validation_source
from sr_jax.images.decoding import ImageError

_log = logging.getLogger(__name__).warning


def validation_crops(
    settings: DataSettings, report: Callable[[str], None] = _log
) -> Iterator[Float[np.ndarray, 'crop_size crop_size 3']]:
    """Cuts the validation images into tiles that do not overlap, the same ones every time.

    At most `settings.validation_crops` in all: every image is allowed an equal share of them,
    evenly spaced over it (where there are more images than that, evenly spaced images give
    one each). A broken or too small image is handled as in training.

    Yields:
      float32 tiles in [0, 1], of pairs those of the true images.

    Raises:
      InputError: the source cannot be opened, too many images are rejected, or no tile is left.
    """
    for tiles in _validation_tiles(settings, report, validation_source(settings)):
        yield tiles['hq']


def _validation_tiles(
    settings: DataSettings, report: Callable[[str], None], source: Source
) -> Iterator[dict[str, Any]]:
    """Yields the tiles of `validation_crops` with all the fields of the source."""
    size, total, count = settings.crop_size, settings.validation_crops, len(source)
    rejections = Rejections(settings.max_rejected, report)
    tiles = 0
    for index in range(count):
        share = (index + 1) * total // count - index * total // count
        if not share:
            continue
        try:
            example = usable_example(source, index, size)
        except ImageError as error:
            rejections.add({error.name: error.reason})
            continue
        for tile in _tiles_of(example, source.fields, size, share):
            tiles += 1
            yield {
                name: field.finish(field.collate([tile[name]]))[0]
                for name, field in source.fields.items()
            }
    if not tiles:
        raise none_left(rejections.reasons)


def _tiles_of(example: Example, fields: Fields, size: int, share: int) -> Iterator[Example]:
    """Yields at most `share` tiles of an example, evenly spaced."""
    whole = largest_size(example, fields)
    if whole is None:
        yield example
        return
    unit = unit_of(example, fields)
    corners = _spaced_tiles((whole[0] // unit, whole[1] // unit), size // unit, share)
    for top, left in corners:
        yield cut(example, fields, unit * top, unit * left, size)


def _spaced_tiles(shape: Sequence[int], size: int, share: int) -> list[tuple[int, int]]:
    """Returns the corners of at most `share` tiles of the grid of tiles centered in an image."""
    height, width = shape[:2]
    rows, columns = height // size, width // size
    tiles = rows * columns
    chosen = list(range(tiles))
    if tiles > share:
        chosen = [(2 * k + 1) * tiles // (2 * share) for k in range(share)]
    top, left = (height - rows * size) // 2, (width - columns * size) // 2
    return [(top + n // columns * size, left + n % columns * size) for n in chosen]


def validation_batches(
    settings: DataSettings,
    batch_size: int,
    report: Callable[[str], None] = _log,
    fields: Iterable[str] = (),
) -> Iterator[dict[str, np.ndarray]]:
    """Puts `validation_crops`, with all that the source holds of them, into batches of one size.

    Args:
      settings: which examples, and how they are cut.
      batch_size: of all batches.
      report: is given one line for each example that is passed over.
      fields: what the source must hold.

    Yields:
      `{'hq': float32 [batch_size, crop_size, crop_size, 3], 'mask': float32 [batch_size]}`, and the
      source's other fields; what is missing in the last batch is zero with mask 0, all else has
      mask 1.
    """
    source = validation_source(settings)
    choose_fields(source, fields, settings.validation_source or settings.source)
    crops = _validation_tiles(settings, report, source)
    while chosen := list(itertools.islice(crops, batch_size)):
        batch = {'mask': (np.arange(batch_size) < len(chosen)).astype(np.float32)}
        for name, first in chosen[0].items():
            batch[name] = np.zeros((batch_size, *first.shape), first.dtype)
            batch[name][: len(chosen)] = [crop[name] for crop in chosen]
        yield batch
