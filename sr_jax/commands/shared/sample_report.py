"""What is told of drawn images besides themselves: their nearest training images, and FID."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from sr_jax.commands.shared import measures
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings
from sr_jax.data.sources import training_source
from sr_jax.data.validation import validation_batches
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import sheet
from sr_jax.images.decoding import ImageError, to_float
from sr_jax.images.files import save_image
from sr_jax.inference.hierarchy import Hierarchy
from sr_jax.metrics import fid
from sr_jax.metrics.fid import ImageSet
from sr_jax.metrics.nearest_crops import NearestCrops

MOST = 2000  # training images that samples are compared with
BATCH = 16


def show_neighbors(
    hierarchy: Hierarchy, samples: Sequence[np.ndarray], count: int, file: Path
) -> None:
    """Writes a sheet: in each row a sample, and the nearest places of as many training images.

    Args:
      hierarchy: of the samples; its config names the training images.
      samples: in [0, 1].
      count: images beside each sample.
      file: where the sheet goes.

    Raises:
      InputError: the training images are not there.
    """
    data = bind(DataSettings, hierarchy.config.data, 'config.data')
    source = training_source(data)
    chosen = np.unique(np.linspace(0, len(source) - 1, min(len(source), MOST)).astype(int))
    nearest = NearestCrops(np.stack(samples), count, data.flips, data.rotations)
    for index in tqdm(chosen, unit='image', leave=False, disable=None):
        try:
            example = source.example(int(index))
        except ImageError:
            continue  # the training has named it
        image = to_float(example['hq']) if 'hq' in example else _decode(hierarchy, example)
        if min(image.shape[:2]) >= hierarchy.size:
            nearest.add(source.name(int(index)), image)
    tiles = []
    for number, (sample, found) in enumerate(zip(samples, nearest.found, strict=True)):
        tiles.append((f'{number:04d}', sample))
        tiles += [(f'{match.mse:.4f}', match.crop) for match in found]
        tiles += [('', np.ones_like(sample))] * (count - len(found))
    save_image(file, sheet(tiles, count + 1))
    distances = [found[0].mse for found in nearest.found if found]
    print(
        f'{file}: the nearest of {len(chosen)} of {len(source)} training images; least mse '
        f'{min(distances):.4f}, median {np.median(distances):.4f} (at a quarter of the size)'
    )


def _decode(hierarchy: Hierarchy, example: dict[str, np.ndarray]) -> np.ndarray:
    codes = {level: np.asarray(example[level], np.int32)[None] for level in ('top', 'bottom')}
    image = hierarchy.coder.apply(hierarchy.frozen, codes, method='decode')[0]
    return np.clip(jax.device_get(image), 0, 1)


def measure_fid(hierarchy: Hierarchy, samples: Sequence[np.ndarray], weights: str) -> str:
    """Returns a line with the FID of samples to the validation crops of their run.

    Raises:
      InputError: the weights are others, the run was of codes, or there are too few images.
    """
    distance = measures.load_fid(weights, 'bilinear')
    data = bind(DataSettings, hierarchy.config.data, 'config.data')
    sets = {'drawn': ImageSet(distance), 'true': ImageSet(distance)}
    for image in samples:
        sets['drawn'].add(image)
    for image in _validation_images(data):
        sets['true'].add(image)
    drawn, true = (sets[name].statistics() for name in ('drawn', 'true'))
    value = fid.frechet_distance(drawn, true)
    line = f'{distance.name}: {value:.3f}, {drawn.number} samples to {true.number} true crops'
    warning = fid.few_images(min(drawn.number, true.number), true.mean.size)
    return f'{line}\nnote: {warning}' if warning else line


def _validation_images(data: DataSettings) -> Iterator[np.ndarray]:
    for batch in validation_batches(data, BATCH):
        if 'hq' not in batch:
            raise InputError(f'--fid needs images, and {data.source} holds codes')
        yield from batch['hq'][batch['mask'] > 0]
