"""How `sr_experiment.py` measures a network: errors, VGG16's features, artefacts, consistency.

All networks are measured on the same crops of the validation photographs, of 96 x 96 pixels,
however large those were that they were trained on.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import sr_experiment
from sr_jax.checkpoints.run import load_run
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings
from sr_jax.data.validation import validation_batches
from sr_jax.degradations import bicubic
from sr_jax.devices import sharding
from sr_jax.images.resize import imresize
from sr_jax.inference import networks
from sr_jax.losses import translational
from sr_jax.losses.perceptual import perceptual_loss
from sr_jax.metrics.artifacts import detail, flat_error
from sr_jax.metrics.protocol import parse
from sr_jax.tasks.shared import feature_network
from sr_jax.tasks.shared.feature_network import Perceptual

CROP = 96
CROPS = 64
BATCH = 16
CORNER = 64  # of a crop of 96: those in its four corners share 32 x 32 pixels
SCALE = 4
PROTOCOL = 'y_matlab_crop4'
LAYERS = ('conv2_2', 'conv5_3')
FILE = 'measures.json'

Predict = Callable[[jax.Array], jax.Array]


def measured(workdir: Path) -> dict[str, float]:
    """The numbers of a complete run; those that have been measured are read from its folder.

    'psnr' in dB, 'ssim', 'l1' of images in [0, 1]; 'vgg/<layer>', the mean absolute difference
    of VGG16's features before the activation; 'flat_error' and 'inconsistency' in 1/255; 'detail'.
    """
    path = workdir / FILE
    if not path.exists():
        numbers = measures(*predictions(workdir))
        path.write_text(json.dumps(numbers, indent=2) + '\n')
    found: dict[str, float] = json.loads(path.read_text())
    return found


def predictions(workdir: Path) -> tuple[Predict, np.ndarray]:
    """The network of a run, as a function of small images, and the true crops to measure on."""
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(workdir, mesh=mesh)
    data = bind(DataSettings, model.config.data, 'config.data')
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)

    def enlarged(lq: jax.Array) -> jax.Array:
        return predict(model.variables, {'lq': lq})['image']

    return enlarged, true_crops(data)


def true_crops(data: DataSettings) -> np.ndarray:
    """The crops of the validation photographs, a number that batches divide."""
    data = dataclasses.replace(data, crop_size=CROP, validation_crops=CROPS)
    crops = np.concatenate([batch['hq'] for batch in validation_batches(data, 1)])
    return crops[: len(crops) // BATCH * BATCH]


def bicubic_measures(source: str) -> dict[str, float]:
    """The numbers of `measured` of bicubic enlargement, rounded nowhere."""
    config = sr_experiment.get_config()
    config.data.source = source
    truth = true_crops(bind(DataSettings, config.data, 'config.data'))
    return measures(lambda lq: jnp.clip(imresize(lq, SCALE), 0, 1), truth)


def measures(enlarged: Predict, truth: np.ndarray) -> dict[str, float]:
    """The numbers of `measured`, of a function of small images [BATCH, h, w, 3]."""
    images, sums = [], []
    for hq in truth.reshape(-1, BATCH, *truth.shape[1:]):
        lq = small(hq)
        image = enlarged(lq)
        images.append(np.asarray(image))
        sums.append({**vgg_distances(image, hq), 'inconsistency': inconsistency(enlarged, lq)})
    made, protocol = np.concatenate(images), parse(PROTOCOL)
    pairs = list(zip(made, truth, strict=True))
    return {
        'psnr': float(np.mean([protocol.psnr(*pair) for pair in pairs])),
        'ssim': float(np.mean([protocol.ssim(*pair) for pair in pairs])),
        'l1': float(np.mean(np.abs(made - truth))),
        **{name: float(np.mean([numbers[name] for numbers in sums])) for name in sums[0]},
        'flat_error': 255 * flat_error(made, truth),
        'detail': detail(made, truth),
    }


@jax.jit
def small(hq: jax.Array) -> jax.Array:
    """The images that networks are given, as in training."""
    return bicubic.degrade(hq, SCALE, True)


def inconsistency(enlarged: Predict, lq: jax.Array) -> float:
    """How much a network's outputs on two crops differ where both show the same, in 1/255.

    The mean absolute difference over what the four corners of an image share, of all pairs of
    corners: what the translational loss drives down, here on images that were not trained on.
    """
    side, size = CROP // SCALE, CORNER // SCALE
    differences = []
    for pair in itertools.combinations(range(4), 2):
        crops = translational.corner_pair(*pair, side, side, size)
        first, second = (
            translational.shared_region(
                enlarged(translational.crop(lq, position, size)), position, crops, SCALE
            )
            for position in (crops.first, crops.second)
        )
        differences.append(jnp.abs(first - second).mean())
    return 255 * float(jnp.stack(differences).mean())


def vgg_distances(image: jax.Array, hq: np.ndarray) -> dict[str, float]:
    """The mean absolute differences of VGG16's features, by layer."""
    params, distances = _vgg()
    return {f'vgg/{layer}': float(x) for layer, x in distances(params, image, hq).items()}


@functools.cache
def _vgg() -> tuple[Any, Callable[..., dict[str, jax.Array]]]:
    settings = Perceptual(
        1.0, network='vgg16', layers=dict.fromkeys(LAYERS, 1.0), weights='lpips-vgg16'
    )

    @jax.jit
    def distances(params: Any, image: jax.Array, hq: jax.Array) -> dict[str, jax.Array]:
        features = feature_network.features(settings, params, 'float32', False)
        return {layer: perceptual_loss(features, image, hq, {layer: 1.0}) for layer in LAYERS}

    return feature_network.load_frozen(settings, networks.load, True), distances
