"""What a film is, in words: sizes, times, colors, fields and streams.

Times come from the packets of the whole film, which are read but not decoded; fields are looked at
in some places.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.film import formats, tags
from sr_jax.film.decoding import WITHOUT_SHOWING_TIMES
from sr_jax.film.ffmpeg import in_one_line, open_container, packets_until_damage
from sr_jax.film.formats import UNSPECIFIED
from sr_jax.film.info import FilmInfo, VideoInfo
from sr_jax.film.reader import open_film
from sr_jax.film.survey import Survey, survey

SAME_TICKS = 1  # Matroska's rounding makes even durations differ by so many


class Times(NamedTuple):
    """When a film's frames are shown.

    Attributes:
      frames: how many packets of video there are.
      shortest, longest: seconds between two frames; None where there are not two.
      constant: whether they differ by rounding only.
      first, last: seconds at which the first and the last frame are shown.
      missing: how many packets have no time of showing.
    """

    frames: int
    shortest: Fraction | None
    longest: Fraction | None
    constant: bool
    first: Fraction | None
    last: Fraction | None
    missing: int


class FilmReport(NamedTuple):
    """All that is found out of a film before anything is done to it."""

    info: FilmInfo
    times: Times
    survey: Survey


def examine(path: Path) -> FilmReport:
    """Returns what a film is.

    Raises:
      InputError: as for reading it.
    """
    with open_film(path) as film:
        info = film.info
    return FilmReport(info, measure_times(path, info.video), survey(path))


def measure_times(path: Path, video: VideoInfo) -> Times:
    """Returns when frames are shown, by the packets."""
    shown, decoded, missing = [], [], 0
    with open_container(path) as container, in_one_line(f'{path} cannot be read'):
        for packet in packets_until_damage(container, [container.streams[video.number]]):
            if not packet.size:
                continue
            missing += packet.pts is None
            if packet.pts is not None and not packet.is_discard:
                shown.append(packet.pts)
            if packet.dts is not None:
                decoded.append(packet.dts)
        frames = max(len(shown), len(decoded), missing)
    ticks = sorted(decoded if missing else shown)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    if not steps:
        first = ticks[0] * video.time_base if ticks else None
        return Times(frames, None, None, True, first, first, missing)
    return Times(
        frames,
        min(steps) * video.time_base,
        max(steps) * video.time_base,
        max(steps) - min(steps) <= SAME_TICKS,
        ticks[0] * video.time_base,
        ticks[-1] * video.time_base,
        missing,
    )


def lines(report: FilmReport) -> Iterator[str]:
    """Yields the report in words, a line for each matter."""
    info, times = report.info, report.times
    yield f'{info.path}: {info.format}, {_seconds(info.duration)}'
    yield f'picture: {_picture(info.video)}'
    yield f'times: {_times(info.video, times)}'
    if info.format in WITHOUT_SHOWING_TIMES or times.missing:
        yield 'it does not say when frames are shown: taken from the order of decoding'
    yield f'colors: {_colors(info.video)}'
    yield f'fields: {_fields(report.survey)}'
    for stream in info.streams:
        if stream.number != info.video.number:
            yield str(stream)
    if info.chapters:
        yield f'{len(info.chapters)} chapters'
    if info.video.not_carried:
        yield f'not carried on: {", ".join(info.video.not_carried)} of single frames'


def _seconds(time: Fraction | None) -> str:
    return 'of unknown length' if time is None else f'{float(time):.3f} s'


def _picture(video: VideoInfo) -> str:
    words = [f'{video.codec}, {video.width}x{video.height}']
    if (video.aspect or 1) != 1:
        wide = video.width * (video.aspect or 1)
        words.append(f'pixels of {video.aspect}, shown {round(wide)} wide')
    if video.matrix:
        words.append(f'turned: {turning(video.matrix)}')
    words.append(formats.words(video.pixels))
    return ', '.join(words)


def turning(matrix: tuple[int, ...]) -> str:
    """Returns what a display matrix does, in words."""
    a, b, c, d = (round(matrix[place] / 65536) for place in (0, 1, 3, 4))
    flipped = a * d - b * c < 0
    if flipped:  # seen in a mirror first
        a, c = -a, -c
    turns = {(1, 0): 'not rotated', (0, 1): '90 degrees to the right', (-1, 0): '180 degrees'}
    rotation = turns.get((a, b), '90 degrees to the left' if (a, b) == (0, -1) else 'by an angle')
    return f'mirrored, {rotation}' if flipped else rotation


def _times(video: VideoInfo, times: Times) -> str:
    rate = video.average_rate or video.nominal_rate
    words = [f'{times.frames} frames']
    if rate:
        words.append(f'{float(rate):.3f} a second ({rate})')
    if times.shortest is not None and times.longest is not None:
        if times.constant:
            words.append('constant')
        else:
            shortest, longest = (1000 * float(time) for time in (times.shortest, times.longest))
            words.append(f'variable: {shortest:.1f} to {longest:.1f} ms a frame')
    if times.first:
        words.append(f'the first at {float(times.first):.3f} s')
    words.append(f'ticks of {video.time_base} s')
    return ', '.join(words)


def _colors(video: VideoInfo) -> str:
    color = video.color
    said = {k: v for k, v in color._asdict().items() if v != UNSPECIFIED}
    words = ', '.join(f'{key} {value}' for key, value in said.items()) or 'no tags'
    if not video.is_tagged and video.pixels.layout == 'yuv':
        matrix = tags.resolve(color, video.pixels, video.height).matrix
        words += (
            f'; no matrix is said, players take {tags.WORDS[matrix]} for {video.height} lines'
        )
    if video.mastering:
        low, high = video.mastering.min_luminance, video.mastering.max_luminance
        words += f'; mastered at {float(low):g} to {float(high):g} cd/m2'
    if video.light:
        words += f'; at most {video.light.max_content} cd/m2, a frame {video.light.max_average}'
    return words


def _fields(found: Survey) -> str:
    flagged = _counts(found.flagged)
    seen = _counts(found.seen) or 'nothing can be told (it does not move)'
    words = f'{found.verdict}; the stream says {found.stream}, flags: {flagged}, seen: {seen}'
    if found.repeated:
        words += f', fields repeated: {found.repeated}'
    return words + ('' if found.flags_agree else '; the flags are wrong, what is seen is taken')


def _counts(counts: dict[str, int]) -> str:
    return ', '.join(f'{kind} {count}' for kind, count in Counter(counts).most_common())


def as_json(report: FilmReport) -> dict[str, Any]:
    """Returns the report as JSON has it; fractions are texts such as '1/25'."""

    def plain(value: Any) -> Any:
        if hasattr(value, '_asdict'):
            return {key: plain(each) for key, each in value._asdict().items()}
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return str(value) if isinstance(value, Fraction | Path) else value

    found = plain(report)
    found['survey']['verdict'] = report.survey.verdict
    found['info']['video']['is_tagged'] = report.info.video.is_tagged
    return found
