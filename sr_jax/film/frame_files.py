"""The images of a folder of numbered frames, in their order; without PyAV, which not all have."""

import itertools
import re
from pathlib import Path

from sr_jax.errors import InputError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.exr', '.dpx', '.ppm')


def find_frames(folder: Path) -> list[Path]:
    """Returns the images of a folder in the order of their numbers, or of their names.

    Numbers need not have zeros before them; where two files have the same number, or one has none,
    names decide.

    Raises:
      InputError: there are none, or a number is missing between them.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f'{folder} holds no images ({" ".join(SUFFIXES)})')
    numbers = {path: re.findall(r'\d+', path.stem) for path in found}
    last = {path: int(parts[-1]) for path, parts in numbers.items() if parts}
    if len(set(last.values())) < len(found):
        return sorted(found)
    found.sort(key=lambda path: last[path])
    missing = last[found[-1]] - last[found[0]] + 1 - len(found)
    if missing:
        gap = next(last[a] + 1 for a, b in itertools.pairwise(found) if last[b] > last[a] + 1)
        more = f', and {missing - 1} more' if missing > 1 else ''
        raise InputError(
            f'{folder}: the frame of number {gap} is missing{more}: add what is missing, or number '
            'the frames anew without gaps'
        )
    return found
