"""The steps for old tapes in their order: looked at once, then applied to a film as it streams.

    clips = [...]                                   # a few runs of frames from all over the film
    findings = examine(clips, settings)
    state = start(first_frame, settings, findings)
    for frames in film:
        frames, state = clean(frames, settings, findings, state)

All frames are RGB; 0 is black and 1 white. What a step makes of a frame depends on the film before
it, not on how the film is divided into calls.
"""

import dataclasses
import functools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.film.color import from_luma_chroma, to_luma_chroma
from sr_jax.film.tape import chroma_shift, denoise, dot_crawl, head_switching, levels

MATRIX = 'bt601'  # composite video's, whatever the file is tagged with
EVERY = 4  # frames of a clip from one in which chroma's shift is looked for to the next


@dataclasses.dataclass(frozen=True)
class TapeSettings:
    """Which steps are taken, in this order; none by default.

    Attributes:
      crop_lines: crop the lines at the bottom that come after the switch of heads.
      align_chroma: move chroma to its luma.
      comb: 'ntsc' or 'pal': take away that system's dots and rainbows; '' does not.
      denoise: times the noise that was measured: 1 averages what differs so much; 0 nothing.
      stretch_levels: bring black and white to where they belong.
    """

    crop_lines: bool = False
    align_chroma: bool = False
    comb: str = ''
    denoise: float = 0.0
    stretch_levels: bool = False

    def __post_init__(self):
        if self.comb not in ('', *dot_crawl.SYSTEMS):
            raise InputError(f'comb {self.comb!r}: it must be ntsc or pal, or be left out')
        if not 0 <= self.denoise <= 10:
            raise InputError(f'denoise {self.denoise}: it must lie between 0 (off) and 10')


class Findings(NamedTuple):
    """What is wrong with a film; of steps that are off, nothing.

    Attributes:
      lines: after the switch of heads, at the bottom.
      shift: pixels down and right by which chroma lies beside luma.
      noise: standard deviations of luma's and chroma's.
      levels: black and white.
    """

    lines: int = 0
    shift: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)
    levels: tuple[float, float] = (0.0, 1.0)


class State(NamedTuple):
    """What the next frames need of those before them."""

    combed: Float[Array, 'k h w 3']
    denoised: Float[Array, 'h w 3']


def examine(
    clips: Sequence[Float[Array, 't h w 3']],
    settings: TapeSettings,
    stored: Sequence[Float[Array, 't h w 3']] = (),
) -> Findings:
    """Finds out what the steps that are on need to know.

    Args:
      clips: runs of consecutive frames, some from all over the film. Noise is seen in two frames
        or more, four after NTSC's comb and six after PAL's. Of what the clips show the median
        counts, and of levels the widest.
      settings: the steps.
      stored: some of the same film as it is stored, where the clips are deinterlaced, which hides
        the switch of heads; () where they are not.

    Raises:
      InputError: there are no clips.
    """
    if not clips:
        raise InputError('a film of no frames cannot be examined')
    lines = 0
    if settings.crop_lines:
        parts = [to_luma_chroma(clip, MATRIX) for clip in stored or clips]
        lines = statistics.median_high([head_switching.count_lines(part) for part in parts])
    each = [_examine_clip(clip, settings, lines) for clip in clips]
    return Findings(
        lines,
        _medians([found.shift for found in each]),
        _medians([found.noise for found in each]),
        (min(found.levels[0] for found in each), max(found.levels[1] for found in each)),
    )


def start(
    frame: Float[Array, 'h w 3'], settings: TapeSettings, findings: Findings
) -> State:
    """Returns the state before a film whose first frame this is."""
    first = _align(frame[None], findings)[0]
    count = dot_crawl.frames_before(settings.comb) if settings.comb else 0
    return State(jnp.stack([first] * count) if count else first[None, :0], first)


@functools.partial(jax.jit, static_argnames=('settings', 'findings'))
def clean(
    rgb: Float[Array, 't h w 3'], settings: TapeSettings, findings: Findings, state: State
) -> tuple[Float[Array, 't h2 w 3'], State]:
    """Takes all steps that are on.

    Args:
      rgb: the next frames.
      settings: the steps.
      findings: of `examine`.
      state: of `start`, or of the call before.
    """
    frames = _align(rgb, findings)
    before, last = state
    if settings.comb:
        before = jnp.concatenate([before, frames])[-len(before) :]
        frames = dot_crawl.comb(frames, state.combed, settings.comb)
    if settings.denoise and any(findings.noise):
        luma, chroma = (settings.denoise * noise for noise in findings.noise)
        frames, last = denoise.denoise(frames, last, (luma, chroma))
    if settings.stretch_levels:
        frames = levels.stretch(frames, *levels.correction(*findings.levels))
    return from_luma_chroma(frames, MATRIX), State(before, last)


def describe(settings: TapeSettings, findings: Findings) -> list[str]:
    """Returns a line for each step that is on: what was found, and what is done."""
    lines = []
    if settings.crop_lines:
        count = findings.lines
        said = f'{count} at the bottom are cropped' if count else 'none found'
        lines.append(f'lines after the switch of heads: {said}')
    if settings.align_chroma:
        down, across = findings.shift
        said = f'{down:+.1f} lines down, {across:+.1f} pixels right of luma: moved back'
        lines.append(f'chroma: {said if down or across else "lies where luma does, or tells not"}')
    if settings.comb:
        lines.append(f'dots and rainbows: {settings.comb.upper()} comb, where nothing moves')
    if settings.denoise:
        luma, chroma = (255 * noise for noise in findings.noise)
        said = f'luma {luma:.1f}, chroma {chroma:.1f} of 255; averaged where nothing moves'
        lines.append(f'noise: {said if luma or chroma else "none found"}')
    if settings.stretch_levels:
        black, white = findings.levels
        gain, offset = levels.correction(black, white)
        said = f'{gain:.3f} (x - {offset:.3f})' if (gain, offset) != (1, 0) else 'kept'
        lines.append(f'levels: black at {black:.3f}, white at {white:.3f}: {said}')
    return lines


def _align(rgb: Float[Array, 't h w 3'], findings: Findings) -> Float[Array, 't h2 w 3']:
    """Returns luma and chroma, cropped and moved together."""
    frames = head_switching.crop_lines(to_luma_chroma(rgb, MATRIX), findings.lines)
    down, across = findings.shift
    return chroma_shift.move_chroma(frames, (-down, -across))


def _examine_clip(rgb: Float[Array, 't h w 3'], settings: TapeSettings, lines: int) -> Findings:
    found = Findings()
    frames = head_switching.crop_lines(to_luma_chroma(rgb, MATRIX), lines)
    if settings.align_chroma:
        found = found._replace(shift=chroma_shift.find_shift(frames[::EVERY]))
    if settings.comb:
        count = dot_crawl.frames_before(settings.comb)
        before = jnp.stack([frames[0]] * count)
        combed = dot_crawl.comb(frames, before, settings.comb)
        frames = combed[min(count, len(frames) - 1) :]
    if settings.denoise:
        found = found._replace(noise=denoise.measure_noise(frames))
    if settings.stretch_levels:
        found = found._replace(levels=levels.find_levels(frames))
    return found


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second)
