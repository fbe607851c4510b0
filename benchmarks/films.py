"""Films of all kinds through a network that repeats pixels: what of each is kept, as a table.

  python benchmarks/films.py [FILM ...]

The made ones are those of the tests (`tests/films.py`), a few frames each; films of one's own may
follow. Each is enlarged twofold as `sr-jax upscale` does it, and what came of it is compared by
PyAV itself with the film, packet by packet. Colors are compared with H.273's formulas in float64:
a lossless film of eight constant colors, of the same pixels, lines and tags, goes through the same
network, and the table says how far the farthest sample is from the exact value, in levels. (One
that is rounded rightly is within half a level.)
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests'))

from film_copies import like, packets, read
from films import FILMS
from tiny_networks import repeating

from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.formats import ColorDescription, PixelFormat, Planes, plane_sizes
from sr_jax.film.info import FilmInfo
from sr_jax.film.streams import CONTAINERS_OWN
from sr_jax.film.writer import FilmWriter
from sr_jax.inference.film.job import FilmJob
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.upscaler import Upscaler

# Where a kind goes that does not go into Matroska by libx264.
OUTPUTS = {
    'bought': ('.mp4', 'libx264'),
    'phone': ('.mp4', 'libx264'),
    'hdr': ('.mkv', 'libx265'),
    'prores': ('.mov', 'prores_ks'),
    'vp9_alpha': ('.webm', 'libvpx-vp9'),
    'broadcast': ('.ts', 'libx264'),
    'h264_pal': ('.ts', 'libx264'),
    'dv_ntsc': ('.mov', 'libx264'),
    'camera': ('.mov', 'libx264'),
    'odd': ('.mkv', 'ffv1'),
}
WIDTH = 24  # of the films of constant colors
# Weights of red and blue in luma: H.273, table 4.
WEIGHTS = {'bt470bg': (0.299, 0.114), 'smpte170m': (0.299, 0.114), 'bt709': (0.2126, 0.0722)}
WEIGHTS['bt2020nc'] = (0.2627, 0.0593)
COLORS = np.array(
    [
        *([0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [0.9, 0.1, 0.1]),
        *([0.1, 0.8, 0.2], [0.15, 0.1, 0.9], [0.95, 0.6, 0.45], [0.03, 0.3, 0.35]),
    ]
)


class Row(NamedTuple):
    """What was found of a film, in words."""

    film: str
    video: str
    output: str
    times: str
    length: str
    others: str
    tags: str
    color: str


def packet_times(path: Path) -> tuple[list[Fraction], bool]:
    """When the frames of the video are shown, by its packets, and whether they say so.

    Those of AVI say only when they are decoded.
    """
    with av.open(str(path)) as container:
        cover = av.stream.Disposition.attached_pic
        found = [s for s in container.streams.video if not s.disposition & cover]
        marked = [s for s in found if s.disposition & av.stream.Disposition.default]
        stream = (marked or found)[0]
        is_said = container.format.name != 'avi'
        kept = [p for p in container.demux(stream) if p.size and not p.is_discard]
        times = [p.pts if is_said else p.dts for p in kept]
        tick = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        return sorted(time * tick for time in times), is_said


def compare_times(path: Path, output: Path) -> str:
    """How far times differ."""
    (before, is_said), (after, _) = packet_times(path), packet_times(output)
    if len(before) != len(after):
        return f'{len(before)} frames became {len(after)}'
    later = Fraction(0) if is_said else after[0] - before[0]
    pairs = zip(before, after, strict=True)
    words = f'{len(after)}, {say_difference(max(abs(one + later - two) for one, two in pairs))}'
    return words + ('' if is_said else f', {float(later) * 1e3:.0f} ms after decoding')


def say_difference(seconds: Fraction) -> str:
    """A difference in words."""
    return f'to {float(seconds) * 1e3:.2f} ms' if seconds else 'equal'


def compare_length(before: list[Any], after: list[Any]) -> str:
    """How far the ends of the last frames differ."""
    ends = [(f.pts + f.duration) * f.time_base for f in (before[-1], after[-1])]
    return say_difference(abs(ends[0] - ends[1]))


def beside(path: Path) -> list[bytes]:
    """Attachments and covers of a film."""
    cover = av.stream.Disposition.attached_pic
    with av.open(str(path)) as container:
        found = [s.data for s in container.streams if s.type == 'attachment']
        pictures = [s for s in container.streams if s.disposition & cover]
        data = container.demux(pictures) if pictures else ()
        return sorted([*found, *(bytes(packet) for packet in data if packet.size)])


def sound_times(path: Path) -> list[Fraction]:
    """When the packets of sound and subtitles are heard; samples that are not packed have none."""
    with av.open(str(path)) as container:
        kept = [s for s in container.streams if s.type in ('audio', 'subtitle')]
        kept = [s for s in kept if not s.codec_context.name.startswith('pcm')]
        found = [p for p in (container.demux(kept) if kept else ()) if p.pts is not None and p.size]
        ticks = {s.index: Fraction(s.time_base.numerator, s.time_base.denominator) for s in kept}
        places = [s.index for s in kept]
        times = [(places.index(p.stream_index), p.pts * ticks[p.stream_index]) for p in found]
        return [time for _, time in sorted(times)]


def compare_others(path: Path, output: Path) -> str:
    """Whether all packets of sound and subtitles, attachments and covers are the same."""
    before, after = packets(path), packets(output)
    wrong = [place for place in before if before[place] != after.get(place)]
    files = beside(path)
    if wrong or len(before) != len(after) or files != beside(output):
        return f'differ: {wrong or "attachments"}'
    count = sum(map(len, before.values()))
    words = f'{len(before)}: {count} packets equal' if before else 'none'
    times = zip(sound_times(path), sound_times(output), strict=True)
    late = max((abs(one - other) for one, other in times), default=Fraction(0))
    words += f', times {say_difference(late)}' if late else ''
    return words + (f'; {len(files)} files equal' if files else '')


def compare_tags(before: FilmInfo, after: FilmInfo) -> str:
    """What of tags is not as it was."""
    old, new = before.video, after.video
    lost = []
    said = {k: v for k, v in old.color._asdict().items() if v != 'unspecified'}
    if new.pixels.vertical == 1 and 'chroma' in said:  # then at the top is nowhere else
        said['chroma'] = said['chroma'].removeprefix('top')
    written = new.color._asdict()
    lost += [f'{k} {v} became {written[k]}' for k, v in said.items() if written[k] != v]
    for name in ('matrix', 'mastering', 'light'):
        lost += [name] * (getattr(old, name) != getattr(new, name))
    lost += ['aspect'] * ((old.aspect or 1) != (new.aspect or 1))
    lost += ['depth'] * (old.pixels.depth > new.pixels.depth)
    lost += ['streams'] * (streams_of(before) != streams_of(after))
    times = [
        [(c.start * c.time_base, c.end * c.time_base, c.metadata) for c in info.chapters]
        for info in (before, after)
    ]
    lost += ['chapters'] * (times[0] != times[1])
    own = {k: v for k, v in before.metadata.items() if k.lower() not in CONTAINERS_OWN}
    missing = {k.lower() for k in own} - {k.lower() for k in after.metadata}
    lost += sorted(missing)
    kept = [f'{k} {v}' for k, v in said.items() if v in written.values()]
    return '; '.join(lost) or ('kept' + (f': {", ".join(kept)}' if kept else ', none of colors'))


def streams_of(info: FilmInfo) -> list[tuple]:
    """What is said of all streams; 'und' is a language that nobody knows."""
    return sorted(
        (stream.kind, stream.language.replace('und', ''), stream.title, stream.disposition)
        for stream in info.streams
    )


def flat_planes(
    value: np.ndarray, pixels: PixelFormat, color: ColorDescription, size: tuple[int, int]
) -> tuple[np.ndarray, Planes]:
    """The exact samples of a color in RGB, and planes of them, rounded."""
    exact = encode(value, pixels, color)
    if pixels.alpha:
        exact = np.append(exact, 0.6 * (2**pixels.depth - 1))
    kind = np.uint8 if pixels.depth == 8 else np.uint16
    sizes = plane_sizes(pixels, *size)
    planes = [np.full(s, round(v), kind) for s, v in zip(sizes, exact, strict=True)]
    return exact, tuple(planes)


def scales(pixels: PixelFormat, color: ColorDescription) -> tuple[np.ndarray, np.ndarray]:
    """What stands for 0, and how many levels are 1, of each plane."""
    step, most = 2 ** (pixels.depth - 8), 2**pixels.depth - 1
    limited = color.range == 'limited'
    low, wide = (16 * step, 219 * step) if limited else (0, most)
    if pixels.layout != 'yuv':
        count = 3 if pixels.layout == 'rgb' else 1
        return np.full(count, low), np.full(count, wide)
    chroma = 224 * step if limited else most
    return np.array([low, 128 * step, 128 * step]), np.array([wide, chroma, chroma])


def matrix(color: ColorDescription) -> np.ndarray:
    """RGB to luma and chroma."""
    red, blue = WEIGHTS[color.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    rows = [luma, (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)]
    return np.stack(rows)


def encode(rgb: np.ndarray, pixels: PixelFormat, color: ColorDescription) -> np.ndarray:
    """Exact samples of a color: H.273, clause 8.3."""
    parts = rgb if pixels.layout == 'rgb' else matrix(color) @ rgb
    zero, one = scales(pixels, color)
    return parts[: len(zero)] * one + zero


def decode(samples: np.ndarray, pixels: PixelFormat, color: ColorDescription) -> np.ndarray:
    """The color of samples."""
    zero, one = scales(pixels, color)
    parts = (samples[: len(zero)] - zero) / one
    if pixels.layout == 'yuv':
        return np.linalg.inv(matrix(color)) @ parts
    return np.broadcast_to(parts, 3)


def compare_colors(upscaler: Upscaler, info: FilmInfo, folder: Path) -> str:
    """How far constant colors are from their exact values at worst, in levels."""
    size = (info.video.height, WIDTH)
    plain = {'aspect': None, 'matrix': None, 'mastering': None, 'light': None, 'width': WIDTH}
    video: OutputVideo = like(info, **plain)
    source, output = folder / 'flat.mkv', folder / 'flat_2x.mkv'
    output.unlink(missing_ok=True)
    probe = FilmOptions(codec='ffv1', deinterlace='off')
    with FilmWriter(source, video, EncoderSettings('ffv1')) as writer:
        blank = plane_sizes(video.pixels, *size)
        kind = np.uint8 if video.pixels.depth == 8 else np.uint16
        for number in range(len(COLORS)):
            writer.write(tuple(np.zeros(s, kind) for s in blank), number, 1)
    change = FilmJob(upscaler, source, output, probe).plan.change
    before, after = change.before, change.after
    given = [flat_planes(each, before.pixels, before.color, size) for each in COLORS]
    step = round(1 / (video.rate * video.time_base)) or 1
    with FilmWriter(source, video, EncoderSettings('ffv1')) as writer:
        for number, (_, planes) in enumerate(given):
            writer.write(planes, number * step, step)
    FilmJob(upscaler, source, output, probe).run(overwrite=True)
    worst = 0.0
    for (_, planes), frame in zip(given, read(output)[1], strict=True):
        samples = np.array([plane[0, 0] for plane in planes], float)
        exact = samples
        if before.color != after.color:
            exact = encode(decode(samples, before.pixels, before.color), after.pixels, after.color)
            exact = np.append(exact, samples[len(exact) :])
        for plane, value in zip(frame.planes, exact, strict=True):
            worst = max(worst, float(np.abs(plane.astype(float) - value).max()))
    words = f'{worst:.2f}'
    if before.color.matrix != after.color.matrix:
        words += f' ({before.color.matrix} to {after.color.matrix})'
    return words


def measure(upscaler: Upscaler, name: str, path: Path, folder: Path) -> Row:
    """Enlarges a film, and returns what became of it."""
    suffix, codec = OUTPUTS.get(name, ('.mkv', 'libx264'))
    output = folder / f'{name}_2x{suffix}'
    job = FilmJob(upscaler, path, output, FilmOptions(codec=codec, preset=quick(codec)))
    job.run(overwrite=True)
    before, frames = read(path)
    after, written = read(output)
    video = before.video
    return Row(
        name,
        f'{video.codec} {video.width}x{video.height} {path.suffix}',
        f'{codec} {suffix}',
        compare_times(path, output),
        compare_length(frames, written),
        compare_others(path, output),
        compare_tags(before, after),
        compare_colors(upscaler, before, folder),
    )


def quick(codec: str) -> str:
    """The fastest preset."""
    return 'ultrafast' if codec in ('libx264', 'libx265') else ''


def made(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields the made films."""
    for name, (suffix, make) in FILMS.items():
        path = folder / f'{name}{suffix}'
        make(path)
        yield name, path


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('films', nargs='*', type=Path)
    parser.add_argument('--only', default='', help='names of made films')
    args = parser.parse_args()
    upscaler = Upscaler(repeating(), bounded=False, devices=jax.devices()[:1])
    titles = [name.replace('_', ' ') for name in Row._fields]
    print(f'| {" | ".join(titles)} |\n|{"---|" * len(titles)}')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = [(path.stem, path) for path in args.films]
        chosen = args.only.split(',') if args.only else None
        found = [f for f in made(folder) if not chosen or f[0] in chosen]
        for label, path in [*found, *given]:
            print(f'| {" | ".join(measure(upscaler, label, path, folder))} |', flush=True)


if __name__ == '__main__':
    main()
