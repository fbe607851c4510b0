"""True images in one folder and small ones in another, matched by name.

Each may be a folder of files, an LMDB database, or a packed folder.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
from jaxtyping import Float, Num

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import IMAGE, SMALL_IMAGE
from sr_jax.data.protocol import ImageSource
from sr_jax.data.sources import folder, lmdb, packed
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError, to_float

FORM = 'paired:<folder of hq>:<folder of lq>'
FIELDS = {'hq': IMAGE, 'lq': SMALL_IMAGE}
_SUFFIX = re.compile(r'[-_]?x\d+[a-z]?$', re.IGNORECASE)  # 0001x4.png, 0001x4m.png, bird_x2.png
_NAMED = 5  # images in a message about many


class ImagePairs:
    """A random-access sequence of true images (a `Source`), with small ones beside them.

    Args:
      hq: the true images.
      lq: the small ones, in the same order.
      scale: how many times the sides of the true ones are as long.
    """

    def __init__(self, hq: ImageSource, lq: ImageSource, scale: int):
        self.hq, self.lq, self.scale = hq, lq, scale

    fields = FIELDS

    def __len__(self) -> int:
        return len(self.hq)

    def name(self, index: int) -> str:
        """Returns what messages call the true image."""
        return self.hq.name(index)

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """Returns the true image in its own precision; raises `ImageError` when it is broken."""
        return self.hq.pixels(index)

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """Returns the true image as float32 in [0, 1]."""
        return to_float(self.pixels(index))

    def example(self, index: int) -> dict[str, np.ndarray]:
        """Returns the true image 'hq' and the small one 'lq', each in its own precision.

        Raises:
          ImageError: naming the true image: one of them is broken, or their sizes do not match.
        """
        hq, name = self.hq.pixels(index), self.lq.name(index)
        try:
            lq = self.lq.pixels(index)
        except ImageError as error:
            reason = f'its small image {name}: {error.reason}'
            raise ImageError(self.name(index), reason) from error
        (height, width), (lq_height, lq_width) = hq.shape[:2], lq.shape[:2]
        if (height, width) != (self.scale * lq_height, self.scale * lq_width):
            raise ImageError(
                self.name(index),
                f'{width}x{height} pixels, which is not {self.scale} times the '
                f'{lq_width}x{lq_height} of its small image {name}',
            )
        return {'hq': hq, 'lq': lq}


def open_part(rest: str, part: str, settings: DataSettings) -> ImagePairs:
    """Opens the pairs of two folders: see `sr_jax.data.sources`."""
    whole = 'all' if settings.validation_source else part
    return open_pairs(rest, whole, settings.validation_fraction, settings.crop_size)


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the true images lie."""
    return split_folders(rest)[0]


def open_pairs(folders: str, part: str, validation_fraction: float, crop_size: int) -> ImagePairs:
    """Opens the images of two folders, and of the folders in them, as pairs.

    Partners have the same path in both folders up to the suffix, such as .png; the small one's name
    may end in its scale too, as in DIV2K's 0001x4.png.

    Args:
      folders: '<hq>:<lq>', the folders of the true and of the small images.
      part: as in `open_folder`; a pair's side depends on the name of its true image.
      validation_fraction: expected size of the validation part.
      crop_size: of the true images.

    Raises:
      InputError: a folder is missing or empty, an image lacks its partner or has several, or the
        scale of the pairs does not divide the crops.
    """
    hq_folder, lq_folder = split_folders(folders)
    partners = match_names(hq_folder, lq_folder)
    split_part = store_of(hq_folder).split_part
    names = split_part(hq_folder, list(partners), part, validation_fraction)
    # Of all pairs, not of this part's: a pair that differs is named in either part.
    small = open_images(lq_folder, list(partners.values()))
    scale = scale_of(open_images(hq_folder, list(partners)), small)
    hq = open_images(hq_folder, names)
    lq = open_images(lq_folder, [partners[name] for name in names])
    if crop_size % scale:
        raise InputError(
            f'config.data.crop_size={crop_size} is no multiple of the {scale} times that the '
            f'images in {hq_folder} are as large as those in {lq_folder}: take '
            f'{-(-crop_size // scale) * scale}'
        )
    return ImagePairs(hq, lq, scale)


def store_of(place: pathlib.Path) -> ModuleType:
    """Returns the kind of source that reads a folder: of files, an LMDB database, or packed."""
    if packed.is_packed(place):
        return packed
    return lmdb if lmdb.is_database(place) else folder


def image_names(place: pathlib.Path) -> list[str]:
    """Lists the images in a folder of any of the kinds; raises InputError as each of them does."""
    names: list[str] = store_of(place).image_names(place)
    return names


def open_images(place: pathlib.Path, names: Sequence[str]) -> ImageSource:
    """Opens images in a folder of any of the kinds, by the names of `image_names`."""
    images: ImageSource = store_of(place).open_images(place, names)
    return images


def split_folders(folders: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the two folders of '<hq>:<lq>'; '~' is the home folder.

    Raises:
      InputError: they are not two.
    """
    parts = folders.split(':')
    if len(parts) != 2 or not all(parts):
        raise InputError(
            f"the data source 'paired:{folders}' must name two folders without a colon in their "
            "names: 'paired:<folder of hq>:<folder of lq>'"
        )
    hq, lq = (pathlib.Path(part).expanduser() for part in parts)
    return hq, lq


def match_names(hq_folder: pathlib.Path, lq_folder: pathlib.Path) -> dict[str, str]:
    """Returns which small image belongs to each true one, by their paths in the folders.

    The images of the second folder may be others that belong to true ones, such as enlarged ones.

    Raises:
      InputError: a folder is missing or empty, an image lacks its partner or has several.
    """
    exact: dict[str, list[str]] = {}
    scaled: dict[str, list[str]] = {}
    for name in image_names(lq_folder):
        stem = str(pathlib.PurePosixPath(name).with_suffix(''))
        exact.setdefault(stem, []).append(name)
        scaled.setdefault(_SUFFIX.sub('', stem), []).append(name)
    partners, problems, used = {}, [], set()
    for name in image_names(hq_folder):
        stem = str(pathlib.PurePosixPath(name).with_suffix(''))
        found = exact.get(stem) or scaled.get(stem) or []
        if len(found) == 1:
            partners[name] = found[0]
        elif found:
            problems.append(f'{hq_folder / name} has {len(found)} partners: {", ".join(found)}')
        else:
            problems.append(f'{hq_folder / name} has no partner in {lq_folder}')
        used.update(found)
    left = [name for names in exact.values() for name in names if name not in used]
    problems += [f'{lq_folder / name} has no partner in {hq_folder}' for name in left]
    taken_twice = len(partners) - len(set(partners.values()))
    if taken_twice:
        problems.append(f'{taken_twice} images in {lq_folder} have two partners in {hq_folder}')
    if problems:
        raise _describe_mismatch(problems)
    return partners


def _describe_mismatch(problems: Sequence[str]) -> InputError:
    lines = [f'  {problem}' for problem in problems[:_NAMED]]
    if len(problems) > _NAMED:
        lines.append(f'  and {len(problems) - _NAMED} more')
    return InputError(
        'images of two folders that do not match (partners have the same name, but the second '
        "one's may end in its scale, as in 0001.png and 0001x4.png):\n" + '\n'.join(lines)
    )


def scale_of(hq: ImageSource, lq: ImageSource) -> int:
    """Returns how many times as large the true image of the first sound pair is.

    Raises:
      InputError: no pair is sound.
    """
    reasons: Mapping[str, str] = {}
    for index in range(len(hq)):
        try:
            height, width = hq.pixels(index).shape[:2]
            small = lq.pixels(index).shape
        except ImageError as error:
            reasons = reasons or {error.name: error.reason}
            continue
        scale = height // small[0]
        if scale and (height, width) == (scale * small[0], scale * small[1]):
            return scale
        sizes = f'{width}x{height} pixels, its small image {small[1]}x{small[0]}'
        reasons = reasons or {hq.name(index): sizes}
    (name, reason), *_ = reasons.items()
    raise InputError(
        'no pair has a true image a whole number of times as large as the small one, as with '
        f'{name}: {reason}'
    )
