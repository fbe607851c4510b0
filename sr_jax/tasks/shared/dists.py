"""DISTS as a term of a loss: its section of a config, and where its weights come from.

They are given to the training step as those of `sr_jax.tasks.shared.feature_network` are.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.metrics import dists
from sr_jax.tasks.shared.terms import Term
from sr_jax.tasks.step import Training
from sr_jax.tasks.task import Load


@dataclasses.dataclass(frozen=True)
class Dists(Term):
    """The section `config.loss.dists`.

    Attributes:
      weights: the file of its authors (.pth or .safetensors), or of pyiqa.
    """

    weights: str = ''

    def __post_init__(self):
        super().__post_init__()
        if self.ever and not self.weights:
            raise InputError(
                "config.loss.dists has a weight, so it needs `weights`, the file of DISTS' authors"
            )


def load_frozen(settings: Dists, load: Load, training: bool) -> Any:
    """Returns the variables of the metric: see `Task.frozen`; None without training or a weight.

    Raises:
      InputError: the weights cannot be read, or are of something else.
    """
    return dists.read(settings.weights, load) if settings.ever and training else None


def compare(
    frozen: Any,
    training: Training,
    images: Float[Array, 'n h w 3'],
    targets: Float[Array, 'n h w 3'],
) -> Float[Array, '']:
    """Returns the mean distance of images in [0, 1] and true ones, which get no gradient.

    Args:
      frozen: from `load_frozen`.
      training: of the generator: the type to compute in, and whether to recompute.
      images: made.
      targets: true.
    """
    measure: Any = functools.partial(dists.distances, dtype=training.dtype)
    if training.remat:
        measure = jax.checkpoint(measure)
    return jnp.mean(measure(frozen, images, jax.lax.stop_gradient(targets)))
