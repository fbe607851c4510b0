"""How far generated images are from true ones, by the features of a network: Fréchet distances.

With InceptionV3's features this is FID (`sr_jax.metrics.fid`); here they are those of VGG16,
trained, or drawn at random, so that nothing has to be fetched. Features at random tell sets of
images apart too, and do not prefer photographs of ImageNet (Naeem et al. 2020, arXiv:2002.09797,
section 4.2). Numbers by different features do not compare.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.metrics.fid import Statistics, frechet_distance
from sr_jax.models import vgg
from sr_jax.tasks.task import Batch, Evaluation, Load, Outputs, Row, Totals

METRIC = 'frechet'
RANDOM = 'random'
DEPTH = 16
UNIT = 2.0**-12  # features are counted in these, so that sums are exact in any order


@dataclasses.dataclass(frozen=True)
class FeatureSettings:
    """The section `config.features`: of what the distance is measured.

    Attributes:
      layer: of VGG16; its mean over the image is taken.
      weights: a file of torchvision's VGG16, 'lpips-vgg16' (those of the package index), or
        'random', drawn from a fixed seed.
    """

    layer: str = 'relu3_3'
    weights: str = RANDOM

    def __post_init__(self):
        known = [layer.name for layer in vgg.plan(DEPTH)]
        if self.layer not in known:
            raise InputError(f'config.features.layer={self.layer!r}: {nearest(self.layer, known)}')
        if not self.weights:
            raise InputError(f"config.features.weights is '': name some, or take '{RANDOM}'")


def load_frozen(settings: FeatureSettings, load: Load, training: bool) -> dict[str, Any]:
    """Returns the parameters of the feature network: see `Task.frozen`.

    Raises:
      InputError: the weights cannot be read, or are of another network.
    """
    del training  # the loop measures while it trains
    model = _model(settings)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))['params']
    if settings.weights == RANDOM:
        return _draw(shapes)
    network = load(settings.weights)
    found = network.variables.get('params', {})
    if network.model.get('depth') != DEPTH or not shapes.keys() <= found.keys():
        raise InputError(f'config.features.weights={settings.weights} are not those of VGG16')
    return {name: found[name] for name in shapes}


def _draw(shapes: Any) -> dict[str, Any]:
    """Returns kernels from N(0, 2 / fan in), which keep the size of features, and no biases."""
    rng = np.random.default_rng(0)

    def draw(shape: jax.ShapeDtypeStruct) -> np.ndarray:
        if len(shape.shape) == 1:
            return np.zeros(shape.shape, np.float32)
        deviation = math.sqrt(2 / math.prod(shape.shape[:3]))
        return rng.normal(0, deviation, shape.shape).astype(np.float32)

    return jax.tree.map(draw, shapes)


def features(
    settings: FeatureSettings, params: Any, images: Float[Array, 'n h w 3']
) -> Float[Array, 'n f']:
    """Returns the features of images, clipped to [0, 1]."""
    made: Any = _model(settings).apply({'params': params}, clip_finite(images))
    return made[settings.layer].mean(axis=(1, 2))


def measure_distance() -> Evaluation:
    """Returns the evaluation of the distance of outputs['fake_features'] and ['real_features'].

    The metric 'frechet' is a number over all images of a validation, and so the lower, the more
    there are.
    """

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        rows: list[Row] = [{} for _ in range(len(next(iter(batch.values()))))]
        return rows, {kind: _sums(outputs[f'{kind}_features']) for kind in ('real', 'fake')}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        real, fake = (_gaussian(totals[kind], len(rows)) for kind in ('real', 'fake'))
        return {METRIC: frechet_distance(real, fake)}

    return Evaluation(measure, summarize, {METRIC: False})


def _sums(values: np.ndarray) -> dict[str, np.ndarray]:
    units = np.rint(np.asarray(values, np.float64) / UNIT).astype(np.int64)
    return {'sum': units.sum(axis=0), 'products': units.T @ units}


def _gaussian(sums: Mapping[str, Any], number: int) -> Statistics:
    """Returns the Gaussian of features, of their sums and those of their products."""
    if number < 2:
        raise InputError(f'{METRIC} needs at least two images, and there are {number}')
    total = np.asarray(sums['sum'], np.float64) * UNIT
    products = np.asarray(sums['products'], np.float64) * UNIT**2
    covariance = (products - np.outer(total, total) / number) / (number - 1)
    values, vectors = np.linalg.eigh(covariance)
    factor = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return Statistics(number, total / number, factor)


def _model(settings: FeatureSettings) -> vgg.Model:
    return vgg.Model((settings.layer,), DEPTH)
