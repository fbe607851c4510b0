"""MUSIQ, how good a network that people have taught finds an image; see `sr_jax.models.musiq`."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import Float

from sr_jax.images.decoding import to_uint8
from sr_jax.metrics.shapes import check_image


class Musiq:
    """The metric, ready to measure; what it compiled for a size of images is kept.

    Args:
      module: `sr_jax.models.musiq`'s.
      variables: its weights. Ratings of those taught by one set of marks do not compare with
        another's.
    """

    name = 'musiq'

    def __init__(self, module: nn.Module, variables: Mapping[str, Any]):
        self._variables = variables
        self._rate = jax.jit(functools.partial(_apply_exactly, module))

    def __call__(self, image: Float[np.ndarray, 'h w 3']) -> float:
        """Returns the rating of an image in [0, 1], rounded to 8 bits first; more is better.

        Raises InputError where it is no RGB image.
        """
        check_image(image)
        pixels = to_uint8(image)[None].astype(np.float32) / 255
        return float(self._rate(self._variables, pixels)[0])


def _apply_exactly(module: nn.Module, variables: Mapping[str, Any], images: jax.Array) -> Any:
    """Applies the network; GPUs would round the factors of products to 10 bits."""
    with jax.default_matmul_precision('highest'):
        return module.apply(variables, images)
