"""`benchmark` of clips: folders of numbered frames, each a whole film, and how what is made moves.

A row for each clip: its frames' numbers on average, and the measures of time between them. A clip
is in memory as a whole, three times 12 bytes a pixel of each frame.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sr_jax import degradations
from sr_jax.commands.shared import measures, upscaler_arguments
from sr_jax.commands.shared.image_jobs import each_image
from sr_jax.commands.shared.scores import BICUBIC
from sr_jax.commands.shared.table import Table, write_json
from sr_jax.data.sources import find_kind, frames
from sr_jax.degradations.settings import BicubicSettings, GaussianSettings
from sr_jax.errors import InputError
from sr_jax.film.frame_files import find_frames
from sr_jax.images.decoding import ImageError, to_float, to_uint8
from sr_jax.images.files import read_image
from sr_jax.images.finite import check_finite, clip_finite
from sr_jax.images.resize import imresize
from sr_jax.inference import networks
from sr_jax.inference.film.recurrent import remembers
from sr_jax.inference.upscaler import Upscaler
from sr_jax.layers.resampling import upsample_from_corner
from sr_jax.metrics import temporal
from sr_jax.metrics.lpips import Lpips
from sr_jax.tasks.shared.perceptual_evaluation import change_of

SMALL: dict[str, degradations.Settings] = {
    'bicubic': BicubicSettings(),
    'gaussian': GaussianSettings(),
}
FOR_IMAGES = ('fid', 'dists', 'niqe', 'musiq')  # measures
Frames = Float[np.ndarray, 't h w 3']


class Clip(NamedTuple):
    """A film and what belongs to it, float32 in [0, 1].

    Attributes:
      hq: the true frames, cut to a multiple of the scale.
      lq: the small ones; None where the scale is not known.
      result: what was made of them; None where a network has yet to do it.
    """

    hq: Frames
    lq: Frames | None
    result: Frames | None


def has_clips(source: str) -> bool:
    """Tells whether a source is of clips."""
    return source.startswith('frames:')


def run(arguments: argparse.Namespace) -> int:
    """Prints a row of numbers for each clip, and their means; returns and raises as `benchmark`."""
    given = [name for name in FOR_IMAGES if getattr(arguments, name)]
    given += ['samples'] if arguments.samples > 1 else []
    if given:
        raise InputError(f'--{given[0]} is for images, not for clips')
    folder = frames.folder_of(find_kind(arguments.source)[1])
    names = frames.find_films(folder)
    upscaler, scale = _load_upscaler(arguments)
    protocols = measures.read_protocols(arguments.protocol, scale)
    perceptual = measures.load_perceptual(arguments.lpips or ())
    small = arguments.degradation
    scores = ClipScores(measures.Measures(protocols, perceptual, None), perceptual, names)
    print(
        f'{arguments.weights or arguments.results}: {len(names)} clip(s) of {arguments.source}, '
        f'scale {scale or "not said"}, small frames: {small}, motion: {temporal.PROTOCOL}'
    )
    scores.table.heading()
    kind = SMALL[small]
    loads = [
        (name, functools.partial(load, folder / name, _below(arguments.results, name), scale, kind))
        for name in names
    ]
    show = functools.partial(_show, scores, upscaler, scale, kind)
    status = each_image(loads, names, show)
    found = scores.finish()
    if arguments.json:
        results = None if arguments.results is None else str(arguments.results)
        record = {
            **{'network': arguments.weights, 'results': results},
            **{'benchmark': arguments.source, 'scale': scale, 'small_images': small},
            **{'motion': temporal.PROTOCOL, 'mean': found, 'clips': scores.rows},
            'failed': [name for name in names if name not in scores.rows],
        }
        write_json(arguments.json, record)
    return status


def load(
    folder: Path, results: Path | None, scale: int | None, kind: degradations.Settings
) -> Clip:
    """Reads a clip, and what was made of it, and makes its small frames.

    Raises:
      ImageError: a frame is broken, or of another size than the first, or what was made of it is.
    """
    hq = _read(folder)
    lq = None
    if scale:
        height, width = (side // scale * scale for side in hq.shape[1:3])
        hq = hq[:, :height, :width]
        small = degradations.degrade(jnp.asarray(hq), scale, kind, jax.random.key(0))[0]
        lq = to_float(to_uint8(np.asarray(small)))
    result = None if results is None else _read(results)
    if result is not None and result.shape != hq.shape:
        made, true = (f'{len(x)} frames of {x.shape[2]}x{x.shape[1]} pixels' for x in (result, hq))
        raise ImageError(str(results), f'{made}, but the true ones are {true}')
    return Clip(hq, lq, result)


def enlarge(upscaler: Upscaler, lq: Frames) -> Frames:
    """Returns the frames of a clip enlarged, by a network that remembers with what it remembers.

    Raises:
      InputError: what it makes is not finite.
    """
    if not remembers(upscaler):
        return np.stack([to_float(upscaler(frame)) for frame in lq])
    memory, made = upscaler.module.start(jnp.asarray(lq[:1])), []
    for frame in lq:
        memory = _step(upscaler.module, upscaler.variables, memory, jnp.asarray(frame[None]))
        made.append(np.asarray(clip_finite(memory.image[0])))
    check_finite(made, f'what {upscaler.source} makes of these frames')
    return np.stack(made)


class ClipScores:
    """Measures clips, prints a row for each, and keeps the numbers.

    Args:
      measure: of one frame.
      perceptual: LPIPS, of whose change there is a measure.
      names: of all clips.
    """

    def __init__(
        self, measure: measures.Measures, perceptual: Sequence[Lpips], names: Sequence[str]
    ):
        self.rows: dict[str, dict[str, dict[str, float]]] = {}  # by clip, by who enlarged it
        self._measure = measure
        self._changes = {metric.name.replace('lpips', 't_lp'): metric for metric in perceptual}
        columns = [*measure.names, *temporal.MEASURES, *self._changes]
        self.table = Table([*names, f'{BICUBIC}, mean'], columns)

    def add(self, name: str, hq: Frames, made: dict[str, Frames]) -> None:
        """Measures what was made of a clip, by who made it, as if saved with 8 bits."""
        hq = _round(hq)
        self.rows[name] = {kind: self._measure_clip(_round(x), hq) for kind, x in made.items()}
        self.table.row(name, self.rows[name]['result'])

    def _measure_clip(self, images: Frames, hq: Frames) -> dict[str, float]:
        pairs = zip(images, hq, strict=True)
        found = measures.average([self._measure(image, true, None) for image, true in pairs])
        if len(hq) > 1:
            found |= {name: f(images, hq) for name, f in temporal.MEASURES.items()}
            found |= {name: change_of(f, images, hq) for name, f in self._changes.items()}
        return found

    def finish(self) -> dict[str, dict[str, float]]:
        """Prints the means, and returns them by who enlarged."""
        kinds = next(iter(self.rows.values()), {})
        found = {
            kind: measures.average([row[kind] for row in self.rows.values()]) for kind in kinds
        }
        for kind, numbers in found.items():
            self.table.row('mean' if kind == 'result' else f'{kind}, mean', numbers)
        return found


def _show(
    scores: ClipScores,
    upscaler: Upscaler | None,
    scale: int | None,
    kind: degradations.Settings,
    clip: Clip,
    name: str,
) -> None:
    made = {}
    if clip.result is not None:
        made['result'] = clip.result
    elif upscaler is not None and clip.lq is not None:
        made['result'] = enlarge(upscaler, clip.lq)
    if scale and clip.lq is not None:
        made[BICUBIC] = _enlarge_plainly(clip.lq, scale, kind)
    scores.add(name, clip.hq, made)


def _enlarge_plainly(lq: Frames, scale: int, kind: degradations.Settings) -> Frames:
    """Frames enlarged by a cubic kernel that lies as the small ones were sampled."""
    enlarge: Callable[[Any], Any] = (
        functools.partial(upsample_from_corner, factor=scale, kernel='cubic')
        if isinstance(kind, GaussianSettings)
        else functools.partial(imresize, scale=scale)
    )
    return np.stack([np.clip(np.asarray(enlarge(jnp.asarray(x)[None])[0]), 0, 1) for x in lq])


def _load_upscaler(arguments: argparse.Namespace) -> tuple[Upscaler | None, int | None]:
    if arguments.results is not None:
        return None, arguments.scale
    network = networks.load(upscaler_arguments.read_weights(arguments), best=arguments.best)
    upscaler = upscaler_arguments.make(arguments, network)
    return upscaler, upscaler.scale


def _read(folder: Path) -> Frames:
    if not folder.is_dir():
        raise ImageError(str(folder), 'there is no such folder of frames')
    images = [to_float(read_image(path)) for path in find_frames(folder)]
    if len({image.shape for image in images}) > 1:
        raise ImageError(str(folder), 'its frames are not all of one size')
    return np.stack(images)


def _below(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / name


def _round(images: Frames) -> Frames:
    return to_float(to_uint8(images))


@functools.partial(jax.jit, static_argnums=0)
def _step(module: Any, variables: Any, memory: Any, frame: Any) -> Any:
    return module.apply(variables, memory, frame, method='step')[0]
