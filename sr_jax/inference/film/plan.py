"""What is done with a film, decided before the first frame: sizes, colors, fields, pieces."""

import functools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.film import color, encoders, muxing, report, survey, tags
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.fields import NO_CHANGE, Deinterlacing
from sr_jax.film.formats import UNSPECIFIED, ColorDescription, FrameKind, PixelFormat
from sr_jax.film.muxing import Source
from sr_jax.film.numbered import NumberedFrames
from sr_jax.film.reader import open_film
from sr_jax.film.report import FilmReport
from sr_jax.film.tape import chain
from sr_jax.film.writer import output_like
from sr_jax.inference.film.frames import Change, Tape
from sr_jax.inference.film.options import FilmOptions

# Where a film is looked at for what the tape's filters must know, and how many frames each time.
TAPE_PLACES = (Fraction(1, 8), Fraction(3, 8), Fraction(5, 8), Fraction(7, 8))
TAPE_FRAMES = 12
MAX_SIDE = 2**16  # pixels of a frame, as AV1 has it; no other has more


class Found(NamedTuple):
    """A film before it is enlarged.

    Attributes:
      path: the film, or the folder of its frames.
      report: what was found; None of a folder.
      video: its video as it would be written again, at its own size.
      said: its color tags.
      deinterlacing: what is done about its fields.
      first, last: when its first and its last frame are shown, in seconds.
      frames: about how many come out of it.
      notes: what is done to images of a folder that are not like the first, in words.
    """

    path: Path
    report: FilmReport | None
    video: OutputVideo
    said: ColorDescription
    deinterlacing: Deinterlacing
    first: Fraction
    last: Fraction
    frames: int
    notes: tuple[str, ...] = ()


class FilmPlan(NamedTuple):
    """What is done with a film.

    Attributes:
      found: the film.
      options: what was chosen.
      change: what becomes of its frames.
      video, settings: what is written, and how.
      source: what else is copied; None of a folder.
      span: from when on, and until when, frames are taken, in seconds; None until the end.
    """

    found: Found
    options: FilmOptions
    change: Change
    video: OutputVideo
    settings: EncoderSettings
    source: Source | None
    span: tuple[Fraction, Fraction | None]

    @property
    def segments(self) -> int:
        """How many pieces there are."""
        begin, end = self.span
        count = math.floor((self.found.last - begin) / self.options.segment) + 1
        if end is not None:
            count = min(count, math.ceil((end - begin) / self.options.segment))
        return max(1, count)

    @property
    def frames(self) -> int:
        """About how many frames are written."""
        begin, end = self.span
        whole = self.found.last - self.found.first
        taken = min(end or self.found.last, self.found.last) - max(begin, self.found.first)
        share = float(taken / whole) if whole else 1.0
        return max(1, round(self.found.frames * min(share, 1.0)))

    def bounds(self, number: int) -> tuple[Fraction, Fraction | None]:
        """Returns from when to when a piece goes; the last one to the end of all."""
        begin = self.span[0] + number * self.options.segment
        last = number == self.segments - 1
        return begin, self.span[1] if last else begin + self.options.segment

    def lines(self, form: str | None = None) -> Iterator[str]:
        """Yields what was found and what is done, in words.

        Args:
          form: what is written, such as 'PNG'; None: what the encoder makes.
        """
        written = form or self.settings.codec
        if self.found.report:
            yield from report.lines(self.found.report)
        yield from self.found.notes
        if self.found.deinterlacing.mode != 'off':
            yield f'fields are undone: {self.found.deinterlacing.mode}'
        elif self.found.report and self.found.report.survey.verdict == 'telecined':
            yield 'the repeated fields stay: --deinterlace telecine undoes them'
        before, after = self.change.before, self.change.after
        for line in tags.describe(self.found.said, before.color, after.color, before.height):
            yield line.replace('colors:', 'colors are taken as')
        if self.change.tape:
            yield from chain.describe(*self.change.tape)
        if self.change.before.pixels.alpha and not self.change.after.pixels.alpha:
            holding = ', '.join(encoders.WITH_ALPHA)
            yield f'opacity is left out, which {written} does not hold: {holding} do'
        if self.options.leave_out:
            yield f'left out: streams {", ".join(map(str, self.options.leave_out))}'
        yield (
            f'{before.width}x{before.height} -> {after.width}x{after.height}, '
            f'{written}, {after.pixels.depth} bits, about {self.frames} frames'
        )


def find(path: Path, options: FilmOptions) -> Found:
    """Returns what a film is, or a folder of numbered frames.

    Raises:
      InputError: it is none.
    """
    if path.is_dir():
        return _find_folder(path, options)
    found = report.examine(path)
    video = found.info.video
    what = NO_CHANGE
    if options.deinterlace != 'off':
        what = survey.decide(options.deinterlace, found.survey)
    rate = video.average_rate or video.nominal_rate or Fraction(25)
    first = found.times.first or Fraction(0)
    last = found.times.last
    if last is None or last <= first:
        last = first + found.times.frames / rate
    out = output_like(video, video.width, video.height)
    out = out._replace(time_base=what.time_base(video.time_base, rate), rate=what.rate(rate))
    frames = round(found.times.frames * what.rate(rate) / rate)
    return Found(path, found, out, video.color, what, first, last, frames)


def _find_folder(path: Path, options: FilmOptions) -> Found:
    numbered = NumberedFrames(path, options.rate, resize=options.resizes)
    video = OutputVideo(
        numbered.width,
        numbered.height,
        numbered.pixels,
        numbered.color,
        numbered.time_base,
        options.rate,
    )
    last = (len(numbered) - 1) * numbered.time_base
    count, notes = len(numbered), numbered.notes
    return Found(path, None, video, numbered.color, NO_CHANGE, Fraction(0), last, count, notes)


def make_plan(
    path: Path,
    options: FilmOptions,
    scale: int,
    choose: Callable[[PixelFormat], PixelFormat] | None = None,
    remembers: bool = False,
) -> FilmPlan:
    """Returns what is done with a film.

    Args:
      path: the film, or a folder of numbered frames.
      options: what was chosen.
      scale: of the network.
      choose: from the film's pixels, what is written; None: the nearest that the encoder takes.
      remembers: the network sees frames one after the other.

    Raises:
      InputError: it is no film, or the encoder does not take what would come out.
    """
    found = find(path, options)
    settings = EncoderSettings(options.codec, options.quality, options.preset)
    if options.codec not in encoders.CODECS:
        raise InputError(f'--codec {options.codec}: take one of {", ".join(encoders.CODECS)}')
    video = found.video
    choose = choose or functools.partial(encoders.choose_pixels, options.codec)
    written = choose(video.pixels)
    taken = tags.resolve(found.said, video.pixels, video.height)
    before = FrameKind(video.height, video.width, video.pixels, taken)
    tape = None
    if options.has_tape:
        tape = Tape(options.tape, _look_at_tape(found, before, options))
    lines = video.height - (tape.findings.lines if tape else 0)
    height, width = _size(video, lines, options, scale, written)
    meant = tags.choose_output(taken, written, (video.height, height), options.matrix)
    after = FrameKind(height, width * (1 + options.compare), written, meant)
    change = Change(before, after, options.dither, options.compare, tape, remembers)
    output = _output(found, change, options, lines)
    span = _span(found, options)
    source = None
    if found.report:
        cut = (None if span[0] == found.first else span[0], span[1])
        source = Source(found.report.info, options.leave_out, span=cut)
    return FilmPlan(found, options, change, output, settings, source, span)


def _size(
    video: OutputVideo, lines: int, options: FilmOptions, scale: int, written: PixelFormat
) -> tuple[int, int]:
    """Returns the height and width of the enlarged frames."""
    factor = options.outscale or scale
    wide = (video.aspect or 1) if options.square_pixels else 1
    multiples = (1, 1)
    if (options.outscale or wide != 1) and options.codec in encoders.WHOLE_CHROMA:
        multiples = (written.vertical, written.horizontal)
    sides = (lines * factor, video.width * float(wide) * factor)
    height, width = (
        max(1, round(side / multiple)) * multiple
        for side, multiple in zip(sides, multiples, strict=True)
    )
    if max(height, width) > MAX_SIDE:
        raise InputError(
            f'frames of {width}x{height} pixels would be made, and a film has at most {MAX_SIDE} '
            'along a side: take a smaller --outscale'
        )
    return height, width


def _output(found: Found, change: Change, options: FilmOptions, lines: int) -> OutputVideo:
    """Returns the video to write."""
    video, after = found.video, change.after
    aspect = Fraction(1) if options.square_pixels else video.aspect
    if aspect and not options.square_pixels:
        single = after.width // (1 + change.compare)
        aspect *= Fraction(video.width * after.height, lines * single)
    meant = after.color
    if options.tags == 'keep':
        pairs = zip(found.said, meant, strict=True)
        meant = ColorDescription(
            *(UNSPECIFIED if said == UNSPECIFIED else new for said, new in pairs)
        )
    return video._replace(
        width=after.width, height=after.height, pixels=after.pixels, color=meant, aspect=aspect
    )


def _span(found: Found, options: FilmOptions) -> tuple[Fraction, Fraction | None]:
    """Returns from when to when frames are taken.

    Raises:
      InputError: the film has none there.
    """
    begin, end = options.start or found.first, options.end
    if options.preview:
        begin = max(found.first, (found.first + found.last - options.preview) / 2)
        end = begin + options.preview
    if begin > found.last or (end is not None and end <= found.first):
        raise InputError(
            f'{found.path} has frames from {float(found.first):.3f} to {float(found.last):.3f} s: '
            'nothing lies between --from and --to'
        )
    return max(begin, found.first), end


def _look_at_tape(found: Found, kind: FrameKind, options: FilmOptions) -> chain.Findings:
    """Returns what the steps for old tapes go by: runs of frames from all over the film."""
    if found.report is None:
        raise InputError('--tape is for films, not for folders of frames')
    clips = _clips(found, kind, options, found.deinterlacing)
    stored: list[Array] = []
    if options.tape.crop_lines and found.deinterlacing.mode != 'off':
        stored = _clips(found, kind, options, NO_CHANGE)
    return chain.examine(clips, options.tape, stored)


def _clips(
    found: Found, kind: FrameKind, options: FilmOptions, deinterlacing: Deinterlacing
) -> list[Float[Array, 't h w 3']]:
    """Returns runs of frames from all over a film, in RGB."""
    clips = []
    for place in TAPE_PLACES:
        time = found.first + place * (found.last - found.first)
        with open_film(found.path, deinterlacing, time, kind, options.resizes) as film:
            frames = [frame.planes for frame, _ in zip(film, range(TAPE_FRAMES), strict=False)]
        if len(frames) > 1:
            planes = tuple(np.stack(each) for each in zip(*frames, strict=True))
            clips.append(jnp.asarray(color.to_rgb(planes, kind.pixels, kind.color)))
    return clips


def notes(plan: FilmPlan, output: Path) -> list[str]:
    """Returns, in words, what of the film an output does not keep exactly."""
    return muxing.notes(output, plan.video, plan.settings)
