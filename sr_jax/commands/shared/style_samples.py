"""What `sr-jax sample` draws from a generator of styles, such as StyleGAN2's."""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sr_jax.commands.shared import results
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import grid, sheet
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks, style_images
from sr_jax.inference.style_images import StyleImages

COLUMNS = 4
SHEET, MIXING, FILM = 'sheet.png', 'mixing.png', 'interpolation.mp4'
RATE = 25  # frames of a second
GROUPS = ('coarse', 'middle', 'fine')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of generators of styles."""
    group = parser.add_argument_group('of a generator of styles (StyleGAN2)')
    group.add_argument(
        '--truncation',
        type=float,
        default=1.0,
        metavar='PSI',
        help='how far styles go from the mean one (default: 1, as far as drawn)',
    )
    group.add_argument(
        '--film',
        type=float,
        default=0.0,
        metavar='SECONDS',
        help=f'from each sample to the next, and back to the first ({FILM})',
    )
    group.add_argument(
        '--mixing',
        type=int,
        default=0,
        metavar='N',
        help=f'a sheet of the first N samples with the styles of the others ({MIXING})',
    )
    group.add_argument(
        '--layers',
        choices=GROUPS,
        default='coarse',
        help='which styles --mixing takes of the others (default: %(default)s)',
    )


def check_unused(arguments: argparse.Namespace) -> None:
    """Raises InputError where a prior over codes is asked for what only styles have."""
    for name, plain in {'truncation': 1.0, 'film': 0.0, 'mixing': 0}.items():
        if getattr(arguments, name) != plain:
            raise InputError(
                f'--{name} is of generators of styles, and {arguments.runs[0]} is a prior over '
                'codes'
            )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/0000.png` and so on, the sheets and the film; prints where.

    Sample i is that of the seed --seed + i, whatever else is drawn.

    Raises:
      InputError: numbers that cannot be meant, or a network that draws nothing of styles.
    """
    _check(arguments)
    folder = Path(arguments.output)
    files = [folder / f'{index:04d}.png' for index in range(arguments.count)]
    others = [folder / SHEET]
    others += [folder / MIXING] if arguments.mixing else []
    others += [folder / FILM] if arguments.film else []
    results.prepare([*files, *others], [], folder)
    wanted = results.find_missing(arguments, [[file] for file in files])
    network = networks.load(arguments.runs[0], best=arguments.best)
    images = StyleImages(network, arguments.truncation, arguments.batch)
    styles = images.draw_styles(range(arguments.seed, arguments.seed + arguments.count))
    missing = [index for index, absent in enumerate(wanted) if absent]
    _draw(images, styles, missing, files)
    samples = [load_image(file) for file in files]
    tiles = [(str(arguments.seed + i), image) for i, image in enumerate(samples)]
    save_image(folder / SHEET, sheet(tiles, COLUMNS))
    print(f'{folder / SHEET}: {len(samples)} samples, of which {len(missing)} were drawn now')
    if arguments.mixing:
        _save_mixing(images, styles, samples, arguments)
    if arguments.film:
        _save_film(images, styles, arguments.film, folder / FILM)
    return 0


def _draw(
    images: StyleImages, styles: np.ndarray, missing: Sequence[int], files: Sequence[Path]
) -> None:
    """Draws and saves samples by their numbers, and shows a bar of progress."""
    if not missing:
        return
    drawn = images.make(images.repeat(styles[list(missing)]))
    bar = tqdm(drawn, total=len(missing), unit='image', leave=False, disable=None)
    for index, image in zip(missing, bar, strict=True):
        save_image(files[index], image)


def _save_mixing(
    images: StyleImages,
    styles: np.ndarray,
    samples: Sequence[np.ndarray],
    arguments: argparse.Namespace,
) -> None:
    """Writes the sheet: rows are the first samples, whose styles of some layers are the others'."""
    rows, number = arguments.mixing, images.model.num_styles
    layers = style_images.layers_of(arguments.layers, number)
    mixed = list(images.make(style_images.mix(styles[:rows], styles[rows:], number, layers)))
    across = len(styles) - rows
    head = [np.ones_like(samples[0]), *samples[rows:]]
    body = [[samples[i], *mixed[i * across : (i + 1) * across]] for i in range(rows)]
    columns = [np.stack(column) for column in zip(head, *body, strict=True)]
    file = Path(arguments.output) / MIXING
    save_image(file, grid(columns))
    print(f'{file}: rows are samples with the {arguments.layers} styles of those above')


def _save_film(images: StyleImages, styles: np.ndarray, seconds: float, file: Path) -> None:
    """Writes the film, which leads back to its first frame."""
    from sr_jax.film.color import to_planes  # PyAV, which only films need
    from sr_jax.film.encoders import EncoderSettings, OutputVideo
    from sr_jax.film.formats import ColorDescription, PixelFormat
    from sr_jax.film.writer import FilmWriter

    between = max(round(seconds * RATE), 1)
    path = images.repeat(style_images.interpolate(styles, between))
    pixels = PixelFormat('yuv', 8, 2, 2)
    color = ColorDescription('bt709', 'limited', 'bt709', 'bt709', 'left')
    size, tick = images.model.size, Fraction(1, RATE)
    video = OutputVideo(size, size, pixels, color, tick, Fraction(RATE))
    with FilmWriter(file, video, EncoderSettings()) as writer:
        frames = tqdm(images.make(path), total=len(path), unit='frame', leave=False, disable=None)
        for number, image in enumerate(frames):
            made = to_planes(image[None], pixels, color)
            writer.write(tuple(np.asarray(plane)[0] for plane in made), number, 1)
    print(f'{file}: {len(path)} frames, from each of {len(styles)} samples to the next')


def _check(arguments: argparse.Namespace) -> None:
    """Raises InputError for numbers that cannot be meant, and for what only priors have."""
    if len(arguments.runs) > 1:
        raise InputError(f'{len(arguments.runs)} runs: samples are drawn from one generator')
    least = {'count': 1, 'batch': 1, 'seed': 0, 'mixing': 0, 'film': 0}
    results.check_numbers(arguments, least)
    if not 0 <= arguments.truncation <= 2:
        raise InputError(f'--truncation {arguments.truncation}: it must be from 0 to 2')
    if arguments.mixing and arguments.mixing >= arguments.count:
        raise InputError(
            f'--mixing {arguments.mixing} of --count {arguments.count}: some samples must be left '
            'for the columns'
        )
    plain = {'label': None, 'image': None, 'guidance': 1.0, 'temperature': 1.0, 'top_k': 0}
    for name, value in {**plain, 'top_p': 1.0, 'neighbors': 0, 'fid': None}.items():
        if getattr(arguments, name) != value:
            flag = {'label': 'class', 'image': 'from'}.get(name, name.replace('_', '-'))
            raise InputError(
                f'--{flag} is of priors over codes, and {arguments.runs[0]} is a generator of '
                'styles: --truncation trades variety for fewer failures'
            )
