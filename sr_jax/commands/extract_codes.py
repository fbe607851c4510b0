"""Computes the codes of images once, by a trained stage 1, for a prior to train on.

  python -m sr_jax extract-codes runs/vqvae folder:photos --output codes --crops 100000
  python -m sr_jax.main --config configs/prior.py --config.data.source=codes:codes

The training part holds random crops, mirrored and turned as the stage 1 was trained; the validation
part the tiles that a run validates on. Classes go along where the images have them. What was
interrupted goes on when the same command is given again, and what was damaged since is made anew.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from sr_jax.checkpoints.run import load_run
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings
from sr_jax.data.code_shards import (
    BEGUN,
    DESCRIPTION,
    FACTORS,
    TYPE,
    Description,
    is_whole,
    read_description,
    write_description,
    write_shard,
)
from sr_jax.data.pipeline import train_iterator
from sr_jax.data.sources import training_source
from sr_jax.data.validation import validation_batches
from sr_jax.errors import InputError
from sr_jax.images import lock
from sr_jax.inference import networks
from sr_jax.tasks.shared import stage_1

SHARD = 4096  # examples of a file
Encode = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax extract-codes`."""
    parser.add_argument('run', metavar='RUN', help='a run or a file of weights of a stage 1')
    parser.add_argument(
        'data', metavar='DATA', help="images, such as 'folder:<path>' or 'tfds:<name>'"
    )
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='where the codes go'
    )
    parser.add_argument(
        '--crops', type=int, metavar='N', help='to train on (default: as many as images)'
    )
    parser.add_argument(
        '--crop-size', type=int, metavar='PIXELS', help="(default: that of the stage 1's run)"
    )
    parser.add_argument('--seed', type=int, default=0, help='of the crops (default: 0)')
    parser.add_argument(
        '--batch', type=int, default=16, help='crops at once (default: %(default)s)'
    )
    parser.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the shards of both parts, and then what they are.

    Raises:
      InputError: no such stage 1 or images, or the folder holds other codes, or another job writes
        into it.
    """
    for name in ('crops', 'batch'):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f'--{name} {value}: it must be at least 1')
    network = networks.load(arguments.run, best=arguments.best)
    coder = stage_1.make_coder(network)
    if max(coder.code_sizes.values()) > np.iinfo(TYPE).max + 1:
        raise InputError(f'{arguments.run} has more codes than the {np.iinfo(TYPE).max + 1} there')
    data = _read_settings(arguments)
    source = training_source(data)
    fields = [name for name in ('hq', 'label') if name in source.fields]
    description = Description(
        stage_1.fingerprint(network),
        coder.code_sizes,
        data.crop_size,
        'label' in fields,
        arguments.data,
        arguments.seed,
        {'train': arguments.crops or len(source)},
    )
    encode = jax.jit(lambda images: coder.apply(network.variables, images, method='encode'))
    _make_folder(arguments.output)
    with lock.hold(arguments.output / lock.NAME, arguments.output, print):
        _check_folder(arguments.output, description)
        _write_train(arguments, data, description, fields, encode)
        count = _write_validation(arguments, data, fields, encode)
        description.counts['validation'] = count
        write_description(arguments.output, description)
        (arguments.output / BEGUN).unlink()
    counts = ', '.join(f'{n} of the part {part!r}' for part, n in description.counts.items())
    print(f'{arguments.output}: codes of {counts}; stage 1 {description.fingerprint}')
    return 0


def _read_settings(arguments: argparse.Namespace) -> DataSettings:
    """Returns how the images are cut: as the run of the stage 1 did it, if it is one."""
    data, size = DataSettings(), arguments.crop_size
    if Path(arguments.run).is_dir():
        found = load_run(arguments.run, best=arguments.best, load=networks.load).config
        data = bind(DataSettings, found.data, 'config.data')
        size = size or data.crop_size
    if not size:
        raise InputError(f'{arguments.run} is no run, which would say it: give a --crop-size')
    if size % FACTORS['top']:
        raise InputError(f'--crop-size {size}: it must be a multiple of {FACTORS["top"]}')
    return dataclasses.replace(
        data, source=arguments.data, validation_source='', crop_size=size
    )


def _make_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f'{folder} is a file: take another --output')
    folder.mkdir(parents=True, exist_ok=True)


def _check_folder(folder: Path, wanted: Description) -> None:
    """Raises InputError where a folder holds codes of another kind."""
    for name in (DESCRIPTION, BEGUN):
        if (folder / name).exists():
            found = read_description(folder, name)
            found.counts.pop('validation', None)
            if found != wanted:
                raise InputError(
                    f'{folder} holds other codes than these (see {name}): take another --output'
                )
    write_description(folder, wanted, BEGUN)


def _write_train(
    arguments: argparse.Namespace,
    data: DataSettings,
    description: Description,
    fields: list[str],
    encode: Encode,
) -> None:
    """Writes the shards of random crops; those that are there and whole are passed over."""
    count = description.counts['train']
    iterator = train_iterator(data, arguments.batch, arguments.seed, print, fields=fields)
    with tqdm(total=count, unit='crop', leave=False, disable=None) as bar:
        for number, first in enumerate(range(0, count, SHARD)):
            path = arguments.output / f'train-{number:05d}.array_record'
            size = min(SHARD, count - first)
            if not is_whole(path, size, description):
                position = iterator.get_state()
                iterator.set_state({**position, 'crops_taken': first})
                examples = _encode_all(iterator, encode)
                write_shard(path, itertools.islice(_show(examples, bar), size))
            else:
                bar.update(size)
    iterator.close()


def _write_validation(
    arguments: argparse.Namespace, data: DataSettings, fields: list[str], encode: Encode
) -> int:
    """Writes the shard of the validation tiles, and returns how many they are."""
    batches = validation_batches(data, arguments.batch, print, fields)
    examples = list(_encode_all(batches, encode))
    write_shard(arguments.output / 'validation-00000.array_record', examples)
    return len(examples)


def _encode_all(batches: Iterator[dict[str, Any]], encode: Encode) -> Iterator[dict[str, Any]]:
    """Yields the codes of each image of batches, and its class where there is one."""
    for batch in batches:
        codes = jax.device_get(encode(batch['hq']))
        count = int(batch['mask'].sum()) if 'mask' in batch else len(batch['hq'])
        labels = {'label': batch['label']} if 'label' in batch else {}
        for i in range(count):
            yield {name: values[i] for name, values in {**codes, **labels}.items()}


def _show(examples: Iterator[dict[str, Any]], bar: tqdm) -> Iterator[dict[str, Any]]:
    """Yields examples, and moves a bar."""
    for example in examples:
        bar.update(1)
        yield example
