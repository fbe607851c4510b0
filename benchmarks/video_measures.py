"""How `video_experiment.py` measures a network: frames, what is between them, stills, and drift.

All networks are measured on the same clips of the validation photographs, larger than those that
they were trained on. LPIPS is AlexNet's, version 0.1, of the published weights.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.video_rows import FRACTION
from sr_jax.checkpoints.run import load_run
from sr_jax.config.settings import DataSettings
from sr_jax.data.sources import moving, open_source
from sr_jax.degradations.settings import GaussianSettings, TapeSettings
from sr_jax.devices import sharding
from sr_jax.images.decoding import to_float, to_uint8
from sr_jax.inference import networks
from sr_jax.layers.resampling import upsample_from_corner
from sr_jax.metrics import lpips, temporal
from sr_jax.metrics.artifacts import detail, flat_error
from sr_jax.metrics.protocol import parse
from sr_jax.tasks.shared import clips, perceptual_evaluation

SCALE = 4
SIZE = 96
CLIPS, FRAMES = 16, 8
FILMS, LONG = 3, 100  # of drift, that many that stand still and that many that move
LATE = (1, 10, 30, 99)  # frames at which it is looked at
REST = (2, 10, 30, 99)  # and at which still films are compared with their second frame
PROTOCOL = 'y_matlab_crop4'
FILE = 'measures.json'
KINDS = {'clean': GaussianSettings(), 'tape': TapeSettings()}

Frames = np.ndarray  # [n, t, h, w, 3] in [0, 1]
Enlarge = Callable[[Frames], Frames]


def measured(workdir: Path, kind: str, source: str) -> dict[str, float]:
    """The numbers of a complete run; those that have been measured are read from its folder."""
    path = workdir / FILE
    if not path.exists():
        numbers = measures(network_of(workdir), kind, source)
        path.write_text(json.dumps(numbers, indent=2) + '\n')
    found: dict[str, float] = json.loads(path.read_text())
    return found


def network_of(workdir: Path) -> Enlarge:
    """The network of a run; one for images sees each frame by itself."""
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(workdir, mesh=mesh, load=networks.load)
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)
    for_clips = model.config.task == 'video'

    def enlarge(lq: Frames) -> Frames:
        given = lq if for_clips else clips.flatten(lq)
        made = np.asarray(predict(model.variables, {'lq': given})['image'])
        return made if for_clips else clips.unflatten(made, len(lq))

    return enlarge


def published(name: str) -> Enlarge:
    """A published network for images, which sees each frame by itself."""
    found = networks.load(name)
    apply = jax.jit(found.module().apply)

    def enlarge(lq: Frames) -> Frames:
        made = np.stack([np.asarray(apply(found.variables, clip)) for clip in lq])
        return np.clip(made, 0, 1)

    return enlarge


def plain(lq: Frames) -> Frames:
    """The cubic enlargement that recurrent networks add to."""
    enlarged = upsample_from_corner(jnp.asarray(clips.flatten(lq)), SCALE, 'cubic')
    return clips.unflatten(np.clip(np.asarray(enlarged), 0, 1), len(lq))


def measures(enlarge: Enlarge, kind: str, source: str) -> dict[str, float]:
    """The numbers of a network, of clips, and of clean ones also of stills and of long films."""
    hq = true_clips(source)
    images = enlarge(small(hq, kind))
    found = of_clips(images, hq)
    if kind == 'clean':
        films = np.concatenate([still_films(source), moving_films(source)])
        made = enlarge(small(films, kind))
        found |= of_stills(images[:, 0], hq[:, 0])
        found |= drift('still', made[:FILMS], films[:FILMS])
        found |= unrest(made[:FILMS])
        found |= drift('moving', made[FILMS:], films[FILMS:])
    return found


def small(hq: Frames, kind: str) -> Frames:
    """The small frames that networks are given, rounded to 8 bits; always alike."""
    degrade = jax.jit(lambda hq: clips.degrade_clips(hq, SCALE, KINDS[kind]))
    return to_float(to_uint8(np.asarray(degrade(hq))))


@functools.cache
def true_clips(
    source: str, count: int = CLIPS, frames: int = FRAMES, size: int = SIZE
) -> Frames:
    """Clips of the validation photographs, evenly spaced over all."""
    settings = DataSettings(crop_size=size, frames=frames, validation_fraction=FRACTION)
    films = open_source(f'moving:{source}', 'validation', settings)
    chosen = np.linspace(0, len(films) - 1, count).astype(int)
    return to_float(np.stack([films.example(int(i))['hq'] for i in chosen]))


def still_films(source: str) -> Frames:
    """Long films in which nothing moves."""
    first = true_clips(source, FILMS, 1)
    return np.repeat(first, LONG, axis=1)


def moving_films(source: str) -> Frames:
    """Long films of a camera that swings slowly over a photograph, by parts of pixels."""
    settings = DataSettings(crop_size=SIZE, validation_fraction=FRACTION)
    images = open_source(source, 'validation', settings)
    films = []
    for i in range(FILMS):
        image = images.example(i * len(images) // FILMS)['hq']
        center = (image.shape[0] / 2, image.shape[1] / 2)
        path = moving.Path(center, (0.37, -0.61))
        films.append([np.asarray(x) for x in moving.move(image, path, LONG, SIZE)])
    return to_float(np.asarray(films))


def of_clips(images: Frames, hq: Frames) -> dict[str, float]:
    """PSNR, SSIM and LPIPS of frames, and the measures of time, each a mean over the clips."""
    rows = [_of_clip(to_float(to_uint8(x)), y) for x, y in zip(images, hq, strict=True)]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _of_clip(images: np.ndarray, hq: np.ndarray) -> dict[str, float]:
    protocol, metric = parse(PROTOCOL), _lpips()
    pairs = list(zip(images, hq, strict=True))
    return {
        'psnr': float(np.mean([protocol.psnr(*pair) for pair in pairs])),
        'ssim': float(np.mean([protocol.ssim(*pair) for pair in pairs])),
        'lpips': float(np.mean(perceptual_evaluation.compare(metric, images, hq))),
        't_lp': perceptual_evaluation.change_of(metric, images, hq),
        **{name: measure(images, hq) for name, measure in temporal.MEASURES.items()},
    }


@functools.cache
def _lpips() -> lpips.Lpips:
    return lpips.load('alex')


def of_stills(images: np.ndarray, hq: np.ndarray) -> dict[str, float]:
    """What is made of single images: the first frames of films."""
    protocol, metric = parse(PROTOCOL), _lpips()
    return {
        'still_psnr': float(np.mean([protocol.psnr(*p) for p in zip(images, hq, strict=True)])),
        'still_lpips': float(np.mean(perceptual_evaluation.compare(metric, images, hq))),
        'still_flat_error': 255 * flat_error(images, hq),
        'still_detail': detail(images, hq),
    }


def drift(name: str, images: Frames, hq: Frames) -> dict[str, float]:
    """How the squared error, in 1e-4, and the detail go on over a long film."""
    found = {}
    for at in LATE:
        found[f'{name}_mse_{at}'] = 1e4 * float(np.square(images[:, at] - hq[:, at]).mean())
        found[f'{name}_detail_{at}'] = detail(images[:, at], hq[:, at])
    return found


def unrest(images: Frames) -> dict[str, float]:
    """How far, as a squared difference in 1e-4, frames of films that stand still are from the
    second one, which is the first that follows another."""
    squares = 1e4 * np.square(images - images[:, 1:2]).mean(axis=(0, 2, 3, 4))
    return {f'unrest_{at}': float(squares[at]) for at in REST}
