"""Whole images to measure with: the true ones, and what belongs to each of them."""

import pathlib
from typing import NamedTuple

from sr_jax.data.protocol import ImageSource
from sr_jax.data.sources import find_kind, no_such_source
from sr_jax.data.sources.paired import match_names, open_images, split_folders, store_of
from sr_jax.data.sources.photos import open_photos
from sr_jax.errors import InputError

WHOLE = ('folder', 'lmdb', 'paired', 'photos', 'tfds', 'frames')  # kinds of whole images, films


class Benchmark(NamedTuple):
    """Sources of as many images, those of one index belonging together.

    Attributes:
      names: of the images, short: in a folder, their paths from there.
      hq: the true images.
      lq: the small ones, where the source has any.
      results: what was made of the small ones, where there is a folder of that.
    """

    names: list[str]
    hq: ImageSource
    lq: ImageSource | None = None
    results: ImageSource | None = None


def open_benchmark(spec: str, results: pathlib.Path | None = None) -> Benchmark:
    """Opens whole images.

    Args:
      spec: 'folder:<path>', 'lmdb:<folder>', 'paired:<folder of hq>:<folder of lq>', 'tfds:<name>'
        (its validation or test split) or 'photos' (their validation part).
      results: a folder of what was made of the small images, by the names of the true ones; these
        must lie in a folder then.

    Raises:
      InputError: no such source, it cannot be opened or is empty; or an image lacks its partner.
    """
    kind, _, rest = spec.partition(':')
    if kind in ('folder', 'lmdb', 'paired') and rest:
        return _of_folders(spec, results)
    if results is not None and (spec == 'photos' or (kind == 'tfds' and rest)):
        raise InputError(
            f'the images in {results} are matched by name with those in a folder, so the true '
            f'ones must be folder:<path> or paired:<folder of hq>:<folder of lq>, not {spec}'
        )
    if spec == 'photos':
        photos = open_photos('validation')
        return Benchmark([photos.name(i) for i in range(len(photos))], photos)
    if kind == 'tfds' and rest:
        from sr_jax.data.sources.tfds import TfdsImages  # a slow import that only this source needs

        images = TfdsImages(rest, 'validation')
        if not len(images):
            raise InputError(f'the dataset {spec} has no images in its validation part')
        return Benchmark([images.name(i) for i in range(len(images))], images)
    raise no_such_source(spec, WHOLE)


def _of_folders(spec: str, results: pathlib.Path | None) -> Benchmark:
    store, rest = find_kind(spec)
    hq_folder, lq_folder = store.folder_of(rest), None
    if spec.startswith('paired:'):
        hq_folder, lq_folder = split_folders(rest)
        store = store_of(hq_folder)
    names = store.image_names(hq_folder)
    return Benchmark(
        names,
        store.open_images(hq_folder, names),
        _partners(hq_folder, lq_folder, names),
        _partners(hq_folder, results, names),
    )


def _partners(
    hq_folder: pathlib.Path, folder: pathlib.Path | None, names: list[str]
) -> ImageSource | None:
    """Returns the images of a folder that belong to the true ones, in their order."""
    if folder is None:
        return None
    partners = match_names(hq_folder, folder)
    return open_images(folder, [partners[name] for name in names])
