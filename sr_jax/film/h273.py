"""Color tags: FFmpeg's numbers, which are those of ITU-T H.273, and their names."""

from typing import Any

from sr_jax.errors import InputError
from sr_jax.film.formats import UNSPECIFIED, ColorDescription

MATRICES = {
    0: 'identity',
    1: 'bt709',
    4: 'fcc',
    5: 'bt470bg',
    6: 'smpte170m',
    7: 'smpte240m',
    8: 'ycgco',
    9: 'bt2020nc',
    10: 'bt2020c',
    11: 'smpte2085',
    12: 'chroma-derived-nc',
    13: 'chroma-derived-c',
    14: 'ictcp',
}
RANGES = {1: 'limited', 2: 'full'}
PRIMARIES = {
    1: 'bt709',
    4: 'bt470m',
    5: 'bt470bg',
    6: 'smpte170m',
    7: 'smpte240m',
    8: 'film',
    9: 'bt2020',
    10: 'smpte428',
    11: 'smpte431',
    12: 'smpte432',
    22: 'ebu3213',
}
TRANSFERS = {
    1: 'bt709',
    4: 'gamma22',
    5: 'gamma28',
    6: 'smpte170m',
    7: 'smpte240m',
    8: 'linear',
    9: 'log100',
    10: 'log316',
    11: 'iec61966-2-4',
    12: 'bt1361e',
    13: 'iec61966-2-1',
    14: 'bt2020-10',
    15: 'bt2020-12',
    16: 'smpte2084',
    17: 'smpte428',
    18: 'arib-std-b67',
}
CHROMA = {1: 'left', 2: 'center', 3: 'topleft', 4: 'top', 5: 'bottomleft', 6: 'bottom'}

# Attribute of a codec, its names, and the number that says nothing.
FIELDS = {
    'matrix': ('colorspace', MATRICES, 2),
    'range': ('color_range', RANGES, 0),
    'primaries': ('color_primaries', PRIMARIES, 2),
    'transfer': ('color_trc', TRANSFERS, 2),
    'chroma': ('chroma_sample_location', CHROMA, 0),
}
# Attributes that frames call otherwise.
ON_FRAMES = {'chroma_sample_location': 'chroma_location'}
# Names that mean the same matrix; this one is written.
ALIASES = {'bt601': 'smpte170m'}


def read(codec: Any) -> ColorDescription:
    """Returns the tags of a codec's context; a number without a name here is 'unspecified'."""
    named = {
        field: names.get(getattr(codec, attribute), UNSPECIFIED)
        for field, (attribute, names, _) in FIELDS.items()
    }
    if 'j' in (codec.pix_fmt or ''):  # yuvj420p: the older way to say so
        named['range'] = 'full'
    return ColorDescription(**named)


def read_frame(frame: Any) -> ColorDescription:
    """Returns the tags of a single frame."""
    named = {
        field: names.get(getattr(frame, ON_FRAMES.get(attribute, attribute)), UNSPECIFIED)
        for field, (attribute, names, _) in FIELDS.items()
    }
    return ColorDescription(**named)


def numbers(color: ColorDescription) -> dict[str, int]:
    """Returns FFmpeg's number for each attribute of a codec.

    Raises:
      InputError: a name that H.273 does not have.
    """
    found = {}
    for field, (attribute, names, silent) in FIELDS.items():
        name = getattr(color, field)
        by_name = {text: number for number, text in names.items()} | {UNSPECIFIED: silent}
        by_name |= {alias: by_name[text] for alias, text in ALIASES.items() if text in by_name}
        if name not in by_name:
            raise InputError(f'{field} {name!r}: it must be one of {", ".join(by_name)}')
        found[attribute] = by_name[name]
    return found


def write(codec: Any, color: ColorDescription) -> None:
    """Sets the tags of an encoder that is not yet open."""
    for attribute, number in numbers(color).items():
        setattr(codec, attribute, number)


def write_frame(frame: Any, color: ColorDescription) -> None:
    """Sets the tags of a frame, where some encoders (ProRes) look for them."""
    for attribute, number in numbers(color).items():
        setattr(frame, ON_FRAMES.get(attribute, attribute), number)
