"""How `generative_experiment.py` measures networks that enlarge, on the crops they validate on."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np

from sr_jax.checkpoints.run import load_run
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings
from sr_jax.data.validation import validation_batches
from sr_jax.degradations import bicubic
from sr_jax.devices import sharding
from sr_jax.images.contact_sheet import repeat_pixels, sheet
from sr_jax.images.files import save_image
from sr_jax.images.resize import imresize
from sr_jax.metrics import lpips
from sr_jax.metrics.protocol import parse

PROTOCOL = 'y_matlab_crop4'
KIND = 'vgg'  # of LPIPS: its network takes crops of 32 pixels
COMPARED = 64  # crops, by LPIPS
BATCH = 32
SCALE = 4
SHOWN = 8
LARGER = 3  # each pixel of the sheet, along a side
FILE = 'measures.json'


def measured(workdir: Path) -> dict[str, float]:
    """'psnr' in dB and 'ssim' by PROTOCOL, and 'lpips', of a complete run; read if it was done."""
    path = workdir / FILE
    if not path.exists():
        path.write_text(json.dumps(measures(*enlarge(workdir)), indent=2) + '\n')
    found: dict[str, float] = json.loads(path.read_text())
    return found


def bicubic_measures(workdir: Path) -> dict[str, float]:
    """The same of bicubic enlargement, on the crops of a run."""
    return measures(*enlarge(workdir, by_bicubic))


def enlarge(
    workdir: Path, by: Callable[[np.ndarray], np.ndarray] | None = None, crops: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Enlarged crops and the true ones, [n, h, w, 3] in [0, 1].

    Args:
      workdir: of the run, whose network enlarges.
      by: enlarges in its place.
      crops: how many, of those that it validates on; 0: all.
    """
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(workdir, mesh=mesh)
    data = bind(DataSettings, model.config.data, 'config.data')
    truth = np.concatenate([batch['hq'] for batch in validation_batches(data, BATCH)])
    truth = truth[: crops or len(truth)]
    if by:
        return by(truth), truth
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)
    made = [
        np.asarray(predict(model.variables, {'hq': truth[i : i + BATCH]})['image'])
        for i in range(0, len(truth), BATCH)
    ]
    return np.concatenate(made), truth


def by_bicubic(truth: np.ndarray) -> np.ndarray:
    """What bicubic enlargement makes of the small images."""
    return np.clip(np.asarray(imresize(small(truth), SCALE)), 0, 1)


def small(truth: np.ndarray) -> np.ndarray:
    """The images that networks are given."""
    return np.asarray(bicubic.degrade(truth, SCALE, True))


def measures(made: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The numbers of `measured`."""
    protocol, distance = parse(PROTOCOL), _lpips()
    pairs = list(zip(made, truth, strict=True))
    return {
        'psnr': float(np.mean([protocol.psnr(*pair) for pair in pairs])),
        'ssim': float(np.mean([protocol.ssim(*pair) for pair in pairs])),
        'lpips': float(np.mean([distance(*pair) for pair in pairs[:COMPARED]])),
    }


@functools.cache
def _lpips() -> lpips.Lpips:
    return lpips.load(KIND)


def write_sheet(runs: Mapping[str, Path], path: Path) -> None:
    """Writes a sheet with a row of crops for each run, under what was given and above the truth."""
    first = next(iter(runs.values()))
    enlarged, truth = enlarge(first, by_bicubic, SHOWN)
    rows = {'given': small(truth), 'bicubic': enlarged}
    rows |= {title: enlarge(run, crops=SHOWN)[0] for title, run in runs.items()}
    tiles = []
    for title, crops in {**rows, 'true': truth}.items():
        for i, crop in enumerate(crops):
            factor = LARGER * truth.shape[1] // crop.shape[0]
            tiles.append((title if i == 0 else '', repeat_pixels(crop, factor)))
    save_image(path, sheet(tiles, SHOWN))
