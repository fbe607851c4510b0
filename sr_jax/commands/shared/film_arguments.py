"""What can be said of films on the command line; nothing here needs PyAV."""

import argparse
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from sr_jax.errors import InputError
from sr_jax.film.color import DITHERS
from sr_jax.film.formats import SUFFIXES
from sr_jax.film.tags import MATRIX_CHOICES
from sr_jax.images.files import read_outline
from sr_jax.images.formats import SUFFIXES as IMAGES
from sr_jax.inference.film.options import (
    SIZES,
    TAGS,
    TAPE_STEPS,
    FilmOptions,
    parse_tape,
    parse_time,
)

# Images, unless a film is made of them.
ANIMATIONS = ('.gif', '.webp', '.apng')
WRITTEN = ('.mkv', '.mp4', '.m4v', '.mov', '.webm', '.ts', '.nut', '.y4m')
PIPE = '-'
# Options of images that mean nothing for films.
OF_IMAGES = ('format', 'background', 'lossless', 'quality', 'max_pixels')


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of films, in groups of their own."""
    _add_encoding(parser.add_argument_group('films: what is written (needs PyAV)'))
    _add_frames(parser.add_argument_group('films: what is made of the frames'))
    _add_work(parser.add_argument_group('films: long jobs'))


def _add_encoding(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        '--codec',
        default='libx264',
        help='libx264 (default), libx265, libsvtav1, libvpx-vp9, prores_ks, ffv1 (lossless), '
        'h264_nvenc, hevc_nvenc, av1_nvenc',
    )
    group.add_argument(
        '--crf', type=float, metavar='N', help="the encoder's quality: lower is better and larger"
    )
    group.add_argument('--preset', default='', help='how long the encoder tries, in its own words')
    group.add_argument(
        '--tags',
        choices=TAGS,
        default='write',
        help='of colors: say what they were taken for (write), or leave untagged what was (keep)',
    )
    group.add_argument(
        '--matrix',
        choices=MATRIX_CHOICES,
        default='auto',
        help='of colors: that of the new size (auto, the default), or the one of the film (keep)',
    )
    group.add_argument('--dither', choices=DITHERS, default='none', help='how levels are rounded')
    group.add_argument(
        '--square-pixels', action='store_true', help='widen frames of pixels that are not square'
    )
    group.add_argument(
        '--leave-out', default='', metavar='N,...', help='numbers of streams not to be copied'
    )
    group.add_argument(
        '--frames-to', metavar='FOLDER', type=Path, help='write numbered PNGs instead of a film'
    )


def _add_frames(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        '--deinterlace',
        choices=('auto', 'off', 'frames', 'fields', 'telecine'),
        default='auto',
        help='where frames are two fields: one frame for each (frames), or for each field (fields)',
    )
    group.add_argument(
        '--tape', default='', metavar='STEPS', help=f'of old tapes: {",".join(TAPE_STEPS)}'
    )
    group.add_argument(
        '--sizes',
        choices=SIZES,
        default='first',
        help='of frames that have another than the first: resize them to that (first, the '
        'default), or stop there (refuse)',
    )
    group.add_argument(
        '--same',
        type=float,
        default=0,
        metavar='LEVELS',
        help='a frame no further than so many levels from the one before is not computed anew '
        '(default: 0, equal ones)',
    )
    group.add_argument('--from', dest='start', metavar='TIME', help='as 90, 1:30 or 0:01:30.5')
    group.add_argument('--to', dest='end', metavar='TIME', help='until when')
    group.add_argument('--preview', metavar='SECONDS', help='so much from the middle alone')
    group.add_argument(
        '--compare', action='store_true', help='left half bicubic, right half the network'
    )
    group.add_argument(
        '--rate', metavar='FPS', help='read a folder as the frames of a film: so many a second'
    )


def _add_work(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        '--segment',
        default='5',
        metavar='SECONDS',
        help='of the film that are kept when work breaks off (default: %(default)s)',
    )
    group.add_argument(
        '--part',
        default='1/1',
        metavar='K/N',
        help='do every N-th segment, from the K-th on; --join joins them',
    )
    group.add_argument('--join', action='store_true', help='join what --part has made')


def is_film(path: Path, arguments: argparse.Namespace) -> bool:
    """Returns whether something on the command line is a film.

    Films are known by their suffix, folders of frames by --rate, and animations by what becomes of
    them.
    """
    if path.is_dir():
        return arguments.rate is not None
    suffix, output = path.suffix.lower(), arguments.output
    makes_film = arguments.frames_to or output == PIPE or Path(output).suffix.lower() in SUFFIXES
    return suffix in SUFFIXES or bool(suffix in ANIMATIONS and makes_film)


def choose_films(arguments: argparse.Namespace) -> list[Path]:
    """Returns the films on the command line; none where all are images.

    Raises:
      InputError: films and images, or options of the one for the other.
    """
    films = [path for path in arguments.images if is_film(path, arguments)]
    output = Path(arguments.output)
    if not films:
        _check_images(arguments, output)
        return []
    if len(films) < len(arguments.images):
        image = next(path for path in arguments.images if path not in films)
        folder = ' (a folder of frames is a film with --rate)' if image.is_dir() else ''
        raise InputError(f'{image} is no film: enlarge films and images one by one{folder}')
    given = [name for name in OF_IMAGES if getattr(arguments, name) not in (None, False)]
    if given or arguments.samples > 1:
        name = given[0] if given else 'samples'
        raise InputError(f'--{name.replace("_", "-")} is of images, not of films')
    return films


def _check_images(arguments: argparse.Namespace, output: Path) -> None:
    default = argparse.ArgumentParser()
    add(default)
    for name, value in vars(default.parse_args([])).items():
        if getattr(arguments, name) != value:
            option = {'start': 'from', 'end': 'to'}.get(name, name.replace('_', '-'))
            raise InputError(f'--{option} is of films, and {arguments.images[0]} is none')
    if output.suffix.lower() in SUFFIXES or arguments.output == PIPE:
        image = arguments.images[0]
        raise InputError(f'--output {output} is a film, and {image} is none: {_remedy(image)}')


def _remedy(image: Path) -> str:
    """Returns what to do where a film was meant."""
    if image.suffix.lower() == '.png' and not image.is_dir() and _moves(image):
        return f'an animated PNG is one by the suffix .apng: name it {image.stem}.apng'
    if image.suffix.lower() in IMAGES and not image.is_dir():
        return 'an image becomes an image (--output x.png)'
    return 'of a folder of frames say how many a second (--rate)'


def _moves(image: Path) -> bool:
    try:
        return read_outline(image).frames > 1
    except InputError:
        return False


def read_options(arguments: argparse.Namespace) -> FilmOptions:
    """Returns what was chosen.

    Raises:
      InputError: something that cannot be meant.
    """
    times = {
        name: None if value is None else parse_time(value)
        for name, value in (
            *(('start', arguments.start), ('end', arguments.end)),
            *(('preview', arguments.preview), ('segment', arguments.segment)),
        )
    }
    return FilmOptions(
        outscale=arguments.outscale,
        codec=arguments.codec,
        quality=arguments.crf,
        preset=arguments.preset,
        deinterlace=arguments.deinterlace,
        matrix=arguments.matrix,
        tags=arguments.tags,
        dither=arguments.dither,
        tape=parse_tape(arguments.tape),
        sizes=arguments.sizes,
        same=arguments.same,
        compare=arguments.compare,
        square_pixels=arguments.square_pixels,
        leave_out=_read_numbers(arguments.leave_out),
        rate=_read_rate(arguments.rate or '25'),
        **times,  # type: ignore[arg-type]
    )


def read_part(text: str) -> tuple[int, int]:
    """Returns k and n of 'k/n'.

    Raises:
      InputError: it is none such.
    """
    found = re.fullmatch(r'(\d+)/(\d+)', text)
    part = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part[0] <= part[1]:
        raise InputError(f'--part {text}: write K/N, such as 2/5, K from 1 to N')
    return part


def check_frames_to(folder: Path) -> None:
    """Raises InputError for a folder of PNGs to come that is named as a file is."""
    if folder.suffix.lower() in (*SUFFIXES, *IMAGES) and not folder.is_dir():
        raise InputError(
            f'--frames-to {folder} is a folder, which gets numbered PNGs: name it without '
            f'{folder.suffix}, or make it before'
        )


def _read_rate(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f'--rate {text}: write 25, 29.97 or 30000/1001') from error


def _read_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(',') if word)
    except ValueError as error:
        raise InputError(f'--leave-out {text}: write numbers of streams, 3,4') from error


def output_file(output: str, films: Sequence[Path]) -> Path | None:
    """Returns the film, or the pipe, that --output names; None where it names a folder.

    A slash at the end, a folder that is there, and a name without a suffix name a folder.

    Raises:
      InputError: one file for several films, or one of a kind that films are not written as.
    """
    path = Path(output)
    if output != PIPE and (not path.suffix or path.is_dir() or output.endswith(('/', '\\'))):
        return None
    if output != PIPE and path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f'--output {output}: films are written as {" ".join(WRITTEN)}; of a folder that is '
            f'not there yet write {output}/'
        )
    if len(films) > 1:
        raise InputError(
            f'--output {output} is one film, but there are {len(films)}: name a folder'
        )
    return path
