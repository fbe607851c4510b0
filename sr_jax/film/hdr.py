"""What HDR says of the display it was graded on: FFmpeg's structures, and encoders' parameters.

The structures are those of SMPTE ST 2086 (primaries, white and luminance of the mastering display)
and CTA-861.3 (brightest pixel, brightest average of a frame).
"""

import struct
from fractions import Fraction
from typing import Any, NamedTuple

# AVMasteringDisplayMetadata: ten rationals, red first, and two flags; AVContentLightMetadata.
MASTERING = '=20i2i'
LIGHT = '=2I'


class Mastering(NamedTuple):
    """The mastering display: CIE 1931 x and y, and candelas per square meter."""

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    min_luminance: Fraction
    max_luminance: Fraction


class Light(NamedTuple):
    """The brightest pixel, and the brightest average of a frame, in candelas per square meter."""

    max_content: int
    max_average: int


def read_mastering(data: bytes | None) -> Mastering | None:
    """Returns the display that FFmpeg's structure describes; None where there is none."""
    if not data or len(data) < struct.calcsize(MASTERING):
        return None
    *numbers, has_primaries, has_luminance = struct.unpack_from(MASTERING, data)
    if not has_primaries or not has_luminance or 0 in numbers[1::2]:
        return None
    values = [Fraction(*numbers[i : i + 2]) for i in range(0, 20, 2)]
    red, green, blue, white = [(values[i], values[i + 1]) for i in range(0, 8, 2)]
    return Mastering(red, green, blue, white, values[8], values[9])


def read_light(data: bytes | None) -> Light | None:
    """Returns the light levels that FFmpeg's structure holds; None where there are none."""
    if not data or len(data) < struct.calcsize(LIGHT):
        return None
    return Light(*struct.unpack_from(LIGHT, data))


def of_frame(frame: Any) -> tuple[bytes | None, bytes | None]:
    """Returns the two structures of a frame."""
    data = frame.side_data
    found = []
    for name in ('MASTERING_DISPLAY_METADATA', 'CONTENT_LIGHT_LEVEL'):
        kind = next((key for key in data if key.name == name), None)
        found.append(None if kind is None else bytes(data[kind]))
    return found[0], found[1]


def parameters(codec: str, mastering: Mastering | None, light: Light | None) -> list[str]:
    """Returns 'name=value' for each of the two, as an encoder's own parameters have them.

    Those of x264 and x265 count color in 1/50000 and luminance in 1/10000; SVT-AV1 in units.
    """
    names = {
        'libx264': ('mastering-display', 'cll'),
        'libx265': ('master-display', 'max-cll'),
        'libsvtav1': ('mastering-display', 'content-light'),
    }[codec]
    color, luminance = (1, 1) if codec == 'libsvtav1' else (50000, 10000)
    found = []
    if mastering:
        points = zip('GBR', (mastering.green, mastering.blue, mastering.red), strict=True)
        words = [f'{name}({_pair(point, color)})' for name, point in points]
        words.append(f'WP({_pair(mastering.white, color)})')
        luminances = (mastering.max_luminance, mastering.min_luminance)
        words.append(f'L({_pair(luminances, luminance)})')
        found.append(f'{names[0]}={"".join(words)}')
    if light:
        found.append(f'{names[1]}={light.max_content},{light.max_average}')
    return found


def _pair(values: tuple[Fraction, Fraction], units: int) -> str:
    return ','.join(f'{float(value * units):.10g}' for value in values)
