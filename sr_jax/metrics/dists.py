"""DISTS, how unlike two images look where textures may lie otherwise.

Ding, Ma, Wang, Simoncelli 2020 (arXiv:2004.07728), by features of VGG16 whose poolings are those of
`sr_jax.models.vgg` by 'l2'. Images are measured at their size; the authors' script shrinks them to
256 pixels first, pyiqa does not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sr_jax.images.decoding import to_uint8
from sr_jax.metrics.shapes import check_image
from sr_jax.models import vgg
from sr_jax.pretrained import dists as weights
from sr_jax.pretrained import named

EPSILON = 1e-6  # of both fractions
FEATURES = 'lpips-vgg16'  # torchvision's VGG16, whose file need not be given
LAYERS = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')
MODEL: Any = vgg.Model(LAYERS, depth=16, pooling='l2')


class Dists:
    """The metric, ready to measure; what it compiled for a size of images is kept.

    Args:
      variables: 'params' of the features, 'texture' and 'structure'.
    """

    name = 'dists'

    def __init__(self, variables: Mapping[str, Any]):
        self._variables = variables
        self._measure = jax.jit(distances)

    def __call__(
        self, image: Float[np.ndarray, 'h w 3'], reference: Float[np.ndarray, '...']
    ) -> float:
        """Returns the distance of two images in [0, 1], rounded to 8 bits first; about 0 if equal.

        Raises ValueError where the shapes differ, and InputError where they are of no RGB image.
        """
        if image.shape != reference.shape:
            raise ValueError(f'images of different shapes: {image.shape} and {reference.shape}')
        check_image(image)
        pair = (to_uint8(x)[None].astype(np.float32) / 255 for x in (image, reference))
        return float(self._measure(self._variables, *pair)[0])


def distances(
    variables: Mapping[str, Any],
    images: Float[jax.Array, 'n h w 3'],
    references: Float[jax.Array, '...'],
    dtype: str = 'float32',
) -> Float[jax.Array, ' n']:
    """Returns the distance of each pair of images in [0, 1], not rounded, to be lowered.

    Args:
      variables: see `Dists`.
      images: made.
      references: true.
      dtype: name of the type that features are computed in.
    """
    pairs = jnp.concatenate([images, references])
    # GPUs would round the factors of float32 convolutions to 10 bits.
    with jax.default_matmul_precision('highest'):
        found = MODEL.clone(dtype=dtype).apply({'params': variables['params']}, pairs)
    layers = [pairs, *(found[name] for name in LAYERS)]
    halves = [jnp.split(layer, 2) for layer in layers]
    first, second = ([half[i] for half in halves] for i in (0, 1))
    return _distance(first, second, variables['texture'], variables['structure'])


def _distance(
    features: Sequence[jax.Array],
    others: Sequence[jax.Array],
    texture: jax.Array,
    structure: jax.Array,
) -> jax.Array:
    """Returns 1 - sum over all channels of the layers of (a l + b s), in float32, [n].

    l compares the means of a channel over the places, s its deviations and how it varies together:
    equations 5 to 7 of the paper. The weights a and b are divided by their sum.

    Args:
      features: of images, layer by layer, [n, h, w, c]; the first layer is the image itself.
      others: of the other images, alike.
      texture: the weights a of all channels, layer after layer.
      structure: the weights b.
    """
    means, variations = [], []
    for x, y in zip(features, others, strict=True):
        x, y = x.astype(jnp.float32), y.astype(jnp.float32)
        mean_x, mean_y = (z.mean(axis=(1, 2), keepdims=True) for z in (x, y))
        means.append(_ratio(mean_x * mean_y, mean_x**2 + mean_y**2)[:, 0, 0])
        x, y = x - mean_x, y - mean_y
        both, own = (x * y).mean(axis=(1, 2)), (x * x + y * y).mean(axis=(1, 2))
        variations.append(_ratio(both, own))
    weights = jnp.concatenate([texture, structure])
    alike = jnp.concatenate([*means, *variations], axis=-1)
    return 1 - jnp.dot(alike, weights / weights.sum(), precision=jax.lax.Precision.HIGHEST)


def _ratio(product: jax.Array, squares: jax.Array) -> jax.Array:
    return (2 * product + EPSILON) / (squares + EPSILON)


def read(path: str, load: Callable[[str], Any] = named.read) -> dict[str, Any]:
    """Returns the variables of the metric of a file of its weights.

    Args:
      path: of the authors' file, or of one of pyiqa.
      load: gives, by their name, the features of a file that has none; its `variables` are taken.

    Raises:
      InputError: no such file, it is of something else, or the features cannot be fetched.
    """
    found = weights.read(path)
    return found if 'params' in found else {**load(FEATURES).variables, **found}
