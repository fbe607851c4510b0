"""Draws images from a trained prior over codes, or from a generator of styles (StyleGAN2).

  python -m sr_jax sample runs/prior --count 16 --seed 1 --temperature 0.9
  python -m sr_jax sample runs/prior --from photo.png --redraw lower
  python -m sr_jax sample runs/prior_top runs/prior_bottom --class 3 --guidance 2
  python -m sr_jax sample runs/stylegan2 --count 16 --truncation 0.7 --mixing 4 --film 2

Writes each sample, and a sheet of all of them, `sheet.png`. The same seed gives the same samples,
however many are drawn; what was interrupted goes on with --skip-existing. `--neighbors` lays the
nearest places of the training images beside each sample, so that it is seen whether the prior has
learned them by heart; `--fid` measures how far the samples are from the validation images.
"""

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from sr_jax.commands.shared import results, sample_report, style_samples
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import sheet
from sr_jax.images.files import load_image, save_image
from sr_jax.images.resize import imresize
from sr_jax.inference import hierarchy as trained
from sr_jax.inference.code_sampling import Options
from sr_jax.inference.hierarchy import REDRAW, Hierarchy, Painter, load_hierarchy
from sr_jax.inference.style_images import is_of_styles

COLUMNS = 4
SHEET, NEIGHBORS = 'sheet.png', 'neighbors.png'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax sample`."""
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='a prior: a run of both levels, or two runs of one each; a generator of styles: a run '
        'or a file of weights',
    )
    results.add_arguments(parser, 'samples', 'the folder where samples and sheets go')
    parser.add_argument('--count', type=int, default=16, help='samples (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the samples (default: 0)')
    parser.add_argument(
        '--batch', type=int, default=16, help='drawn at once (default: %(default)s)'
    )
    style_samples.add_arguments(parser)
    add_options(parser)
    parser.add_argument(
        '--class', dest='label', type=int, metavar='N', help='of the samples, from 0 (default: any)'
    )
    parser.add_argument(
        '--from', dest='image', type=Path, metavar='IMAGE', help='an image that is drawn anew'
    )
    parser.add_argument(
        '--redraw',
        choices=REDRAW,
        default='lower',
        help='of it: the lower half, or all the bottom codes (default: %(default)s)',
    )
    parser.add_argument(
        '--neighbors',
        type=int,
        default=0,
        metavar='N',
        help=f'show the nearest places of N training images ({NEIGHBORS})',
    )
    parser.add_argument(
        '--fid',
        metavar='FILE',
        help='measure FID to the validation crops, with the weights pt_inception-2015-12-05 of '
        'mseitzer/pytorch-fid in a file',
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say how codes are drawn."""
    parser.add_argument(
        '--temperature', '--heat', type=float, default=1.0, help='of the draws (default: 1)'
    )
    parser.add_argument(
        '--top-k', type=int, default=0, metavar='K', help='of the K likeliest codes (0: of all)'
    )
    parser.add_argument(
        '--top-p', type=float, default=1.0, metavar='P', help='of the likeliest that make up P'
    )
    parser.add_argument(
        '--guidance',
        type=float,
        default=1.0,
        help='how far from samples of no class, with --class (default: 1, not at all)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/0000.png` and so on, and the sheets; prints where, and what is measured.

    Raises:
      InputError: no such run, numbers that cannot be meant, a class that is not there, or a level
        is missing.
    """
    if is_of_styles(arguments.runs[0]):
        return style_samples.run(arguments)
    style_samples.check_unused(arguments)
    options = Options(
        arguments.temperature, arguments.top_k, arguments.top_p, arguments.guidance
    )
    options.check()
    _check_arguments(arguments)
    folder = Path(arguments.output)
    files = [folder / f'{index:04d}.png' for index in range(arguments.count)]
    inputs = [arguments.image] if arguments.image else []
    results.prepare([*files, folder / SHEET, folder / NEIGHBORS], inputs, folder)
    wanted = results.find_missing(arguments, [[file] for file in files])
    hierarchy = load_hierarchy(arguments.runs, best=arguments.best)
    _check_class(arguments, hierarchy)
    given, tiles = _read_given(arguments, hierarchy)
    _check_levels(arguments, hierarchy)
    painter = Painter(hierarchy, options, arguments.seed, arguments.label, arguments.batch)
    missing = [index for index, absent in enumerate(wanted) if absent]
    _paint_all(painter, missing, given, files, arguments.batch, hierarchy)
    samples = [load_image(file) for file in files]
    tiles += [(file.stem, image) for file, image in zip(files, samples, strict=True)]
    save_image(folder / SHEET, sheet(tiles, COLUMNS))
    print(f'{folder / SHEET}: {len(samples)} samples, of which {len(missing)} were drawn now')
    if arguments.neighbors:
        sample_report.show_neighbors(
            hierarchy, samples, arguments.neighbors, folder / NEIGHBORS
        )
    if arguments.fid:
        print(sample_report.measure_fid(hierarchy, samples, arguments.fid))
    return 0


def _paint_all(
    painter: Painter,
    missing: Sequence[int],
    given: dict[str, Any],
    files: Sequence[Path],
    batch: int,
    hierarchy: Hierarchy,
) -> None:
    """Draws samples a batch at a time, saves each, and shows a bar of progress."""
    free = [
        level.prior.height * level.prior.width
        for name, level in hierarchy.levels.items()
        if name not in given or not given[name].known.all()
    ]
    with tqdm(total=sum(free) * len(missing), unit='code', leave=False, disable=None) as bar:
        for start in range(0, len(missing), batch):
            chosen = missing[start : start + batch]
            images = painter.paint(chosen, given, functools.partial(_move, bar, len(chosen)))
            for index, image in zip(chosen, images, strict=True):
                save_image(files[index], image)


def _move(bar: tqdm, samples: int, codes: int) -> None:
    bar.update(samples * codes)


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Raises InputError for numbers that cannot be meant, and for what does not go together."""
    results.check_numbers(arguments, {'count': 1, 'batch': 1, 'seed': 0, 'neighbors': 0})
    if len(arguments.runs) > 2:
        raise InputError(f'{len(arguments.runs)} runs: there are but two levels')
    if arguments.guidance != 1 and arguments.label is None:
        raise InputError('--guidance is away from samples of no class: say a --class')


def _check_class(arguments: argparse.Namespace, hierarchy: Hierarchy) -> None:
    """Raises InputError for a class that the priors do not know."""
    classes = {level.prior.classes for level in hierarchy.levels.values()}
    if arguments.label is None:
        return
    if not 0 <= arguments.label < min(classes):
        known = f'the classes 0 to {min(classes) - 1}' if min(classes) else 'no classes'
        raise InputError(f'--class {arguments.label}: {arguments.runs[-1]} knows {known}')


def _check_levels(arguments: argparse.Namespace, hierarchy: Hierarchy) -> None:
    """Raises InputError where a level that is drawn has no prior."""
    drawn = ['bottom'] if arguments.image and arguments.redraw == 'bottom' else ['top', 'bottom']
    for level in drawn:
        if level not in hierarchy.levels:
            raise InputError(
                f'{arguments.runs[0]} has no prior of the {level} level: name a second run that '
                f'was trained with --config.loss.levels={level}'
            )


def _read_given(
    arguments: argparse.Namespace, hierarchy: Hierarchy
) -> tuple[dict[str, Any], list[tuple[str, np.ndarray]]]:
    """Returns what stays of the given image, and how it looks on the sheet; nothing without one."""
    if not arguments.image:
        return {}, []
    image = load_image(arguments.image)
    side, size = min(image.shape[:2]), hierarchy.size
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = jnp.asarray(image[top : top + side, left : left + side])
    small = np.clip(np.asarray(imresize(square, size / side)), 0, 1)[:size, :size]
    given = trained.keep(trained.encode(hierarchy, small), arguments.redraw)
    return given, [('given', small)]
