"""What a film's colors are taken for where it does not say, and what those of the enlarged are."""

from sr_jax.errors import InputError
from sr_jax.film.formats import UNSPECIFIED, ColorDescription, PixelFormat, is_subsampled

MAX_SD_LINES = 576  # BT.601 up to here, BT.709 above, as players take a film that does not say
MATRIX_CHOICES = ('auto', 'keep')
SD_MATRICES = ('bt601', 'bt470bg', 'smpte170m', 'fcc')
WORDS = {
    **dict.fromkeys(('bt601', 'bt470bg', 'smpte170m'), 'BT.601'),
    'fcc': 'FCC 1953',
    'bt709': 'BT.709',
    'bt2020nc': 'BT.2020',
    'smpte240m': 'SMPTE 240M',
    'ycgco': 'YCgCo',
    'identity': 'RGB',
    'left': 'at the left',
    'center': 'in the middle',
    'top': 'at the top',
    'bottom': 'at the bottom',
    'topleft': 'at the top left',
    'bottomleft': 'at the bottom left',
}
HDR = {'smpte2084': 'PQ', 'arib-std-b67': 'HLG'}


def resolve(color: ColorDescription, format: PixelFormat, height: int) -> ColorDescription:
    """Fills in what a film does not say with what players take it for.

    The matrix is BT.601's up to 576 lines and BT.709's above; YUV is of limited range, gray and
    RGB of full range; chroma lies at the left of its pixels, and in their middle at full range;
    primaries are those of the television system with so many lines, and else BT.709's. The curve
    of BT.709 is that of BT.601 and BT.2020 too.

    Args:
      color: as the film says.
      format: of its frames.
      height: lines of its frames.
    """
    is_rgb, is_pal, is_ntsc = format.layout == 'rgb', height == 576, height in (480, 486)
    found = color.range
    if found == UNSPECIFIED:
        found = 'limited' if format.layout == 'yuv' else 'full'
    by_height = 'bt709' if height > MAX_SD_LINES else 'bt470bg' if is_pal else 'smpte170m'
    place = UNSPECIFIED
    if is_subsampled(format):
        place = 'center' if found == 'full' else 'left'
    system = 'bt470bg' if is_pal else 'smpte170m' if is_ntsc else 'bt709'
    return ColorDescription(
        matrix='identity' if is_rgb else _say(color.matrix, by_height),
        range=found,
        primaries=_say(color.primaries, 'bt709' if is_rgb else system),
        transfer=_say(color.transfer, 'iec61966-2-1' if is_rgb else 'bt709'),
        chroma=_say(color.chroma, place) if is_subsampled(format) else UNSPECIFIED,
    )


def choose_output(
    color: ColorDescription,
    format: PixelFormat,
    heights: tuple[int, int],
    matrix: str = 'auto',
) -> ColorDescription:
    """Chooses what the enlarged film's samples mean.

    All stays as it was, but that 'auto' gives a film that grows beyond 576 lines the matrix of
    BT.709 in place of BT.601's, since that is what players expect of its size; RGB that becomes
    YUV gets limited range and the matrix of its new size.

    Args:
      color: of the input, from `resolve`.
      format: of the output.
      heights: lines of the input and of the output.
      matrix: 'auto' or 'keep'.

    Raises:
      InputError: another word for `matrix`.
    """
    if matrix not in MATRIX_CHOICES:
        raise InputError(f'--matrix {matrix}: it must be {" or ".join(MATRIX_CHOICES)}')
    before, after = heights
    if format.layout == 'rgb':
        return color._replace(matrix='identity', range='full', chroma=UNSPECIFIED)
    if color.matrix == 'identity':
        said = 'limited' if format.layout == 'yuv' else color.range
        color = color._replace(matrix=UNSPECIFIED, range=said)
    elif matrix == 'auto' and before <= MAX_SD_LINES < after and color.matrix in SD_MATRICES:
        color = color._replace(matrix='bt709')
    return resolve(color, format, after)


def describe(
    said: ColorDescription, taken: ColorDescription, output: ColorDescription, height: int
) -> list[str]:
    """Returns lines that tell a person what was read, what was guessed, and what is written.

    Args:
      said: by the film.
      taken: of it by `resolve`.
      output: by `choose_output`.
      height: lines of the input.
    """
    lines = [f'colors: {_words(taken)}']
    guessed = [
        name
        for name in ('matrix', 'range', 'chroma')
        if getattr(said, name) == UNSPECIFIED != getattr(taken, name)
    ]
    if guessed:
        lines[0] += f' ({", ".join(guessed)} not said by the film: taken as players do'
        lines[0] += f', by its {height} lines)' if 'matrix' in guessed else ')'
    if taken.transfer in HDR:
        lines.append(f'HDR: {HDR[taken.transfer]}')
    if output[:2] != taken[:2]:
        lines.append(f'written as: {_words(output)} (--matrix keep keeps the matrix)')
    return lines


def _words(color: ColorDescription) -> str:
    matrix, place = (WORDS.get(name, name) for name in (color.matrix, color.chroma))
    words = f'{matrix}, {color.range} range'
    return words if color.chroma == UNSPECIFIED else f'{words}, chroma {place}'


def _say(said: str, otherwise: str) -> str:
    return otherwise if said == UNSPECIFIED else said
