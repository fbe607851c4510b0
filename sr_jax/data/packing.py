"""Large images cut into overlapping sub-images, kept as array_record files.

A crop of a photograph of 8 megapixels costs its whole decoding; of a sub-image, a fraction of it.
`sr_jax.data.sources.packed` reads what is written here.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Num

from sr_jax.data import records
from sr_jax.data.sources import folder as files
from sr_jax.data.sources.packed import INDEX, Shard, fingerprint_of, read_shard, shard_files
from sr_jax.errors import InputError
from sr_jax.images import atomic, lock
from sr_jax.images.decoding import ImageError, Layers
from sr_jax.images.encoding import encode
from sr_jax.images.files import read_image
from sr_jax.images.formats import WRITTEN

IMAGES_A_SHARD = 32
WRITER = 'group_size:1,uncompressed'  # every record by itself, which is a PNG already


class Packed(NamedTuple):
    """What `pack` did.

    Attributes:
      images: that were read, now or by an earlier call.
      sub_images: that were cut out of them.
      failed: why an image could not be read, by its path.
      fingerprint: of all records.
    """

    images: int
    sub_images: int
    failed: dict[str, str]
    fingerprint: str


def pack(
    folder: pathlib.Path,
    output: pathlib.Path,
    size: int,
    step: int,
    report: Callable[[str], None] = print,
) -> Packed:
    """Cuts the images of a folder, and of those in it, into sub-images.

    Files that an earlier call finished, of the same images, are kept, so that an interrupted one
    goes on where it was. They are read whole: one that was damaged since is made anew.

    Args:
      folder: of the images.
      output: where the files are written.
      size: side of a sub-image; a shorter side of an image is kept whole.
      step: pixels from one to the next, at most `size`.
      report: is given a line for each file written.

    Raises:
      InputError: there are no images, a number cannot be meant, the files cannot be written, or
        another job writes them.
    """
    if not 1 <= step <= size:
        raise InputError(f'--step {step}: it must be from 1 to --size {size}, or parts are lost')
    names = files.image_names(folder)
    groups = [names[i : i + IMAGES_A_SHARD] for i in range(0, len(names), IMAGES_A_SHARD)]
    _make_folder(output)
    shards = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock.hold(output / lock.NAME, output, report))
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
        shard_paths = shard_files(output, len(groups))
        atomic.remove_left_over(
            [output / INDEX, *shard_paths, *(path.with_suffix('.json') for path in shard_paths)]
        )
        for path, group in zip(shard_paths, groups, strict=True):
            sources, known = [_describe(folder, name) for name in group], read_shard(path)
            same = known is not None and (known.sources, known.cut) == (sources, [size, step])
            if known is None or not same or not _is_whole(path, known):
                known = _write_shard(path, folder, sources, (size, step), pool)
                report(f'{path}: {len(known.names)} sub-images of {len(group)} images')
            shards.append(known)
        fingerprint = fingerprint_of(shards)
        index = {'shards': len(shards), 'fingerprint': fingerprint, 'size': size, 'step': step}
        atomic.write(output / INDEX, json.dumps(index).encode())
    count = sum(len(shard.names) for shard in shards)
    failed = {name: reason for shard in shards for name, reason in shard.failed.items()}
    return Packed(len(names) - len(failed), count, failed, fingerprint)


def cut_all(
    image: Num[np.ndarray, 'h w c'], size: int, step: int
) -> list[Num[np.ndarray, 'h2 w2 c']]:
    """Returns the sub-images of an image, row by row; the last ones end at its edges."""
    rows, columns = (_starts(side, size, step) for side in image.shape[:2])
    return [image[top : top + size, left : left + size] for top in rows for left in columns]


def _starts(side: int, size: int, step: int) -> list[int]:
    last = max(side - size, 0)
    return [*range(0, last, step), last]


def _describe(folder: pathlib.Path, name: str) -> list:
    try:
        about = (folder / name).stat()
    except OSError as error:
        raise InputError(f'{folder / name}: {error.strerror or error}') from error
    return [name, about.st_size, about.st_mtime_ns]


def _make_folder(output: pathlib.Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{output} cannot be written: {error.strerror or error}') from error


def _is_whole(path: pathlib.Path, shard: Shard) -> bool:
    """Returns whether the records of a file are those that were written."""
    digest, count = hashlib.sha256(), 0
    try:
        for record in records.read_records(path):
            digest.update(record)
            count += 1
    except InputError:
        return False
    return (count, digest.hexdigest()) == (len(shard.names), shard.sha256)


def _write_shard(
    path: pathlib.Path,
    folder: pathlib.Path,
    sources: Sequence[list],
    cut: tuple[int, int],
    pool: Executor,
) -> Shard:
    """Writes a file of records and the JSON beside it, which is the last to appear."""
    path.with_suffix('.json').unlink(missing_ok=True)
    names: list[str] = []
    failed: dict[str, str] = {}
    digest = hashlib.sha256()
    with records.writer(path, WRITER) as write:
        for source, *_ in sources:
            try:
                pixels = read_image(folder / source)
            except ImageError as error:
                failed[source] = error.reason
                continue
            for number, record in enumerate(pool.map(_encode, cut_all(pixels, *cut))):
                write(record)
                digest.update(record)
                names.append(f'{number:03d}/{source}')
    shard = Shard(list(sources), names, failed, digest.hexdigest(), list(cut))
    atomic.write(path.with_suffix('.json'), json.dumps(shard._asdict()).encode())
    return shard


def _encode(pixels: np.ndarray) -> bytes:
    return encode(Layers(np.ascontiguousarray(pixels)), WRITTEN['.png'], 'a sub-image')
