"""Films through a network for super-resolution: `sr_jax.upscale_film`, and frame by frame."""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt

from sr_jax.errors import InputError
from sr_jax.film.formats import PixelFormat
from sr_jax.inference import networks
from sr_jax.inference.film.enlarger import make_enlarger
from sr_jax.inference.film.job import FilmJob, FilmResult
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.film.plan import make_plan
from sr_jax.inference.film.progress import Meter, Progress
from sr_jax.inference.film.recurrent import remembers
from sr_jax.inference.film.run import Frame, enlarge_pieces
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.options import check_names
from sr_jax.inference.upscaler import Upscaler

NAMES = {field.name for field in dataclasses.fields(FilmOptions)}
OF_UPSCALER = set(inspect.signature(Upscaler).parameters) - {'network', 'bounded'}


def upscale_film(
    path: str | Path,
    weights: str | Path | LoadedNetwork,
    output: str | Path,
    *,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
    show: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> FilmResult:
    """Writes a film enlarged by a network; where it broke off before, it goes on.

    Args:
      path: the film, or a folder of numbered frames.
      weights: what `sr_jax.inference.networks.load` takes, or what it returned.
      output: the film to come: .mkv, .mp4, .mov, .webm, .ts, .nut or .y4m.
      overwrite: replace a film that is there, and pieces of another job.
      report: is given lines about what was found and what is done.
      show: is told of the progress after every frame.
      options: fields of `FilmOptions`, and arguments of `Upscaler`.

    Raises:
      InputError: the film, the weights or an option cannot be used; the message says why.
    """
    output = Path(output)
    if output.exists() and not overwrite:
        raise InputError(f'{output} is there already: say overwrite=True, or take another name')
    upscaler, chosen, how = _prepare(weights, options)
    job = FilmJob(upscaler, Path(path), output, chosen, how, report)
    return job.run(overwrite=overwrite, show=show)


class EnlargedFrame(NamedTuple):
    """A frame of an enlarged film.

    Attributes:
      pixels: RGB, and opacity where the film has it; uint8, or uint16 of a film of more bits.
      time, duration: in seconds.
    """

    pixels: UInt[np.ndarray, 'h w c']
    time: Fraction
    duration: Fraction


def enlarged_frames(
    path: str | Path, weights: str | Path | LoadedNetwork, **options: Any
) -> Iterator[EnlargedFrame]:
    """Yields the frames of a film, enlarged by a network.

    Args:
      path: the film, or a folder of numbered frames.
      weights: as of `upscale_film`.
      options: as of `upscale_film`; those of an encoder mean nothing.

    Raises:
      InputError: as `upscale_film`.
    """
    upscaler, chosen, _ = _prepare(weights, options)
    plan = make_plan(Path(path), chosen, upscaler.scale, rgb_like, remembers(upscaler))
    meter = Meter(0, plan.frames)
    tick = plan.video.time_base
    enlarger = make_enlarger(upscaler, plan.change)
    pieces = enlarge_pieces(plan, enlarger, range(plan.segments), meter)
    with contextlib.closing(pieces) as events:
        for event in events:
            if isinstance(event, Frame):
                planes, pts, duration = event
                yield EnlargedFrame(np.stack(planes, axis=-1), pts * tick, duration * tick)


def rgb_like(pixels: PixelFormat) -> PixelFormat:
    """Returns the RGB that holds such pixels: of 8 or 16 bits."""
    return PixelFormat('rgb', 8 if pixels.depth == 8 else 16, alpha=pixels.alpha)


def _prepare(
    weights: str | Path | LoadedNetwork, options: dict[str, Any]
) -> tuple[Upscaler, FilmOptions, dict[str, Any]]:
    """Returns the network, what is chosen of the film, and what is asked of the network."""
    how = {name: value for name, value in options.items() if name not in NAMES}
    chosen = {name: value for name, value in options.items() if name in NAMES}
    check_names(options, NAMES | OF_UPSCALER, 'a film')
    network = weights if isinstance(weights, LoadedNetwork) else networks.load(str(weights))
    return Upscaler(network, bounded=False, **how), FilmOptions(**chosen), how
