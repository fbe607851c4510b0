"""Crops a second from large PNGs, and from the same ones packed by `sr-jax pack`, in turn.

  python benchmarks/packed_crops.py PHOTO... [--megapixels 4] [--crop-size 128] [--rounds 3]

The photographs are enlarged bicubically to so many megapixels and written as PNG. Neither source
finds anything in the cache of decoded images, as with data sets that do not fit into it.
"""

import argparse
import math
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from sr_jax.config.settings import DataSettings
from sr_jax.data import train_iterator
from sr_jax.data.packing import pack

BATCH = 16


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('photos', nargs='+', type=Path, metavar='PHOTO')
    parser.add_argument('--megapixels', type=float, default=4.0)
    parser.add_argument('--crop-size', type=int, default=128)
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def enlarge(source: Path, target: Path, megapixels: float) -> None:
    """Writes a photograph with so many pixels as PNG."""
    image = Image.open(source).convert('RGB')
    factor = math.sqrt(megapixels * 1e6 / (image.width * image.height))
    size = round(image.width * factor), round(image.height * factor)
    image.resize(size, Image.Resampling.BICUBIC).save(target)


def crops_a_second(source: str, crop_size: int, batches: int) -> float:
    """How many crops come of a source, after the first batch, by threads of this process."""
    settings = DataSettings(
        source=source, validation_source='photos', crop_size=crop_size, workers=0, cache_bytes=0
    )
    iterator = train_iterator(settings, BATCH, seed=0)
    next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    seconds = time.perf_counter() - start
    iterator.close()
    return BATCH * batches / seconds


def main() -> None:
    """Makes the images, packs them, and reads both in turn."""
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        images, packed = Path(name) / 'images', Path(name) / 'packed'
        images.mkdir()
        for number, photo in enumerate(args.photos):
            enlarge(photo, images / f'{number:03d}.png', args.megapixels)
        start = time.perf_counter()
        done = pack(images, packed, size=480, step=240, report=lambda line: None)
        seconds = time.perf_counter() - start
        before, after = (
            sum(path.stat().st_size for path in folder.iterdir()) / 1e6
            for folder in (images, packed)
        )
        print(
            f'{done.images} images, {before:.0f} MB, packed in {seconds:.1f} s into '
            f'{done.sub_images} sub-images, {after:.0f} MB',
            flush=True,
        )
        ratios = []
        for _ in range(args.rounds):
            whole = crops_a_second(f'folder:{images}', args.crop_size, 4)
            parts = crops_a_second(f'packed:{packed}', args.crop_size, 40)
            ratios.append(parts / whole)
            print(f'{whole:.1f} crops a second, {parts:.1f} packed', flush=True)
    print(f'{statistics.median(ratios):.1f} times as many')


if __name__ == '__main__':
    main()
