"""How a film is to be enlarged: what a person can choose."""

import dataclasses
import operator
from fractions import Fraction
from typing import Any

from sr_jax.errors import InputError
from sr_jax.film.color import DITHERS
from sr_jax.film.formats import DEINTERLACING
from sr_jax.film.tags import MATRIX_CHOICES
from sr_jax.film.tape.chain import TapeSettings
from sr_jax.inference.options import check_option, is_finite

MAX_DENOMINATOR = 10**6  # of seconds, and of frames a second
MAX_RATE = 1000  # of frames a second that a folder is read as
MIN_SEGMENT = Fraction(1, 100)  # seconds; each is a file
TAGS = ('write', 'keep')
SIZES = ('first', 'refuse')
# What the messages call numbers; seconds, and frames a second, are kept as fractions.
_EXACT = {'start': '--from', 'end': '--to'} | {
    name: f'--{name}' for name in ('preview', 'rate', 'segment')
}
_NUMBERS = {'outscale': '--outscale', 'quality': '--quality', 'same': '--same', **_EXACT}
# The words of --tape, and what they turn on.
TAPE_STEPS: dict[str, dict[str, Any]] = {
    'crop': {'crop_lines': True},
    'chroma': {'align_chroma': True},
    'ntsc': {'comb': 'ntsc'},
    'pal': {'comb': 'pal'},
    'denoise': {'denoise': 1.0},
    'levels': {'stretch_levels': True},
}


@dataclasses.dataclass(frozen=True)
class FilmOptions:
    """What is made of a film, and how it is encoded.

    Raises InputError for what cannot be meant. Seconds and rates may be any numbers; they are kept
    as fractions, a float as the decimals that it is written with.

    Attributes:
      outscale: output pixels per pixel along a side; None: the network's scale.
      codec, quality, preset: of the encoder, see `sr_jax.film.encoders.EncoderSettings`.
      deinterlace: what is done about fields: one of `sr_jax.film.formats.DEINTERLACING`.
      matrix: 'auto' gives a film that grows to HD the matrix of HD; 'keep' leaves it.
      tags: 'write' says in the output what the colors were taken for; 'keep' leaves untagged what
        was.
      dither: how planes are rounded, one of `sr_jax.film.color.DITHERS`.
      tape: steps for old tapes.
      sizes: of frames that have another than the first one: 'first' resizes them to that, 'refuse'
        ends there.
      same: levels by which a frame may differ from the one before without being computed anew.
      start, end: seconds of the film between which it is taken; None: all of it.
      preview: seconds from the middle alone.
      compare: left half bicubic, right half the network's.
      square_pixels: widen frames instead of saying that pixels are wide.
      leave_out: numbers of streams that are not copied.
      rate: frames a second of a folder of numbered frames.
      segment: seconds of the film that are encoded by themselves, and kept when work breaks off.
    """

    outscale: float | None = None
    codec: str = 'libx264'
    quality: float | None = None
    preset: str = ''
    deinterlace: str = 'auto'
    matrix: str = 'auto'
    tags: str = 'write'
    dither: str = 'none'
    tape: TapeSettings = dataclasses.field(default_factory=TapeSettings)
    sizes: str = 'first'
    same: float = 0
    start: Fraction | None = None
    end: Fraction | None = None
    preview: Fraction | None = None
    compare: bool = False
    square_pixels: bool = False
    leave_out: tuple[int, ...] = ()
    rate: Fraction = Fraction(25)
    segment: Fraction = Fraction(5)

    def __post_init__(self):
        self._check_words()
        self._read_numbers()
        if self.outscale is not None and self.outscale <= 0:
            raise InputError(f'a film cannot be made {self.outscale} times as large (--outscale)')
        self._check_limits()
        if self.preview and (self.start is not None or self.end is not None):
            raise InputError('--preview takes the middle of the film: leave out --from and --to')
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError('--from must be earlier than --to')
        if self.same and self.has_tape:
            raise InputError('--same and --tape do not go together: noise differs in every frame')

    @property
    def resizes(self) -> bool:
        """Whether frames of another size than the first one are resized."""
        return self.sizes == 'first'

    @property
    def has_tape(self) -> bool:
        """Whether any step for old tapes is on."""
        return self.tape != TapeSettings()

    def _check_words(self):
        words = {
            **{'matrix': MATRIX_CHOICES, 'tags': TAGS, 'dither': DITHERS, 'sizes': SIZES},
            'deinterlace': DEINTERLACING,
        }
        for name, allowed in words.items():
            if getattr(self, name) not in allowed:
                raise InputError(f'{name} {getattr(self, name)!r}: take {" or ".join(allowed)}')
        for name in ('compare', 'square_pixels'):
            check_option(name, getattr(self, name), name)
        if not isinstance(self.preset or '', str):
            raise InputError(f"preset {self.preset!r}: give an encoder's own name, such as 'slow'")
        if not isinstance(self.tape, TapeSettings):
            raise InputError(f'tape {self.tape!r}: give TapeSettings, such as parse_tape("crop")')
        try:
            numbers = tuple(operator.index(number) for number in self.leave_out)
        except TypeError as error:
            raise InputError(f'leave_out {self.leave_out!r}: give numbers of streams') from error
        object.__setattr__(self, 'leave_out', numbers)

    def _read_numbers(self):
        for name, option in _NUMBERS.items():
            value = getattr(self, name)
            if name in _EXACT and isinstance(value, str):
                value = _read_fraction(value, option)
            if value is not None and not is_finite(value):
                raise InputError(f'{option} {value!r}: it must be a finite number')
            if name in _EXACT and value is not None:
                value = value if isinstance(value, Fraction) else Fraction(str(value))
                value = value.limit_denominator(MAX_DENOMINATOR)  # of more, FFmpeg has no numbers
            object.__setattr__(self, name, value)

    def _check_limits(self):
        for name in ('segment', 'rate', 'preview'):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f'--{name} {value}: it must be more than 0')
        if self.segment < MIN_SEGMENT:
            raise InputError(
                f'--segment {self.segment}: it must be at least {float(MIN_SEGMENT)} seconds'
            )
        if not 1 / MAX_RATE <= self.rate <= MAX_RATE:
            raise InputError(
                f'--rate {self.rate}: it must be from 1/{MAX_RATE} to {MAX_RATE} frames a second'
            )
        for name in ('same', 'start', 'end'):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f'{_NUMBERS[name]} {getattr(self, name)}: it must not be negative')


def _read_fraction(text: str, option: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f'{option} {text!r}: write a number, 2.5 or 5/2') from error


def parse_time(text: str) -> Fraction:
    """Returns seconds of '90', '1:30', '0:01:30.5' or '90s'.

    Raises:
      InputError: it is none of them.
    """
    parts = text.strip().removesuffix('s').split(':')
    try:
        values = [Fraction(part) for part in parts]
    except (ValueError, ZeroDivisionError):
        values = []
    if not 1 <= len(values) <= 3 or min(values) < 0:
        raise InputError(f'{text!r} is no time: write seconds (90), 1:30 or 0:01:30.5')
    seconds = Fraction(0)
    for value in values:
        seconds = 60 * seconds + value
    return seconds


def parse_tape(text: str) -> TapeSettings:
    """Returns the steps of such as 'crop,chroma,pal,denoise=0.8,levels'.

    Raises:
      InputError: there is no such step.
    """
    chosen: dict[str, Any] = {}
    for word in filter(None, text.split(',')):
        name, _, number = word.strip().partition('=')
        if name not in TAPE_STEPS or (number and name != 'denoise'):
            raise InputError(f'--tape {word}: the steps are {", ".join(TAPE_STEPS)}')
        chosen.update(TAPE_STEPS[name])
        if number:
            try:
                chosen['denoise'] = float(number)
            except ValueError as error:
                raise InputError(f'--tape {word}: write a number, denoise=0.8') from error
    return TapeSettings(**chosen)
