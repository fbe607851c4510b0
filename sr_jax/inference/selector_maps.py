"""Which kernel each switched convolution of a trained network chooses, pixel by pixel."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from sr_jax.checkpoints.run import load_run, read_switching
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.finite import check_finite
from sr_jax.images.padding import mirror_pad
from sr_jax.inference import networks
from sr_jax.metrics.codebook import perplexity


class Use(NamedTuple):
    """How often a layer chose each kernel: shares that add up to 1, and their perplexity."""

    layer: str
    shares: Float[np.ndarray, 'breadth']
    perplexity: float


class Selectors:
    """A run's network, asked for its choices.

    Args:
      run: the folder of a run, or one of its checkpoints.
      best: take the best checkpoint instead of the newest.

    Raises:
      InputError: no checkpoint, or a network without switched convolutions.

    Attributes:
      breadth: number of kernels of a layer.
    """

    def __init__(self, run: str | Path, best: bool = False):
        mesh = sharding.make_mesh(jax.devices()[:1])
        self._run = run
        self._found = load_run(run, best=best, mesh=mesh, load=networks.load)
        switching = read_switching(self._found.config)
        if not switching.layers:
            raise InputError(
                f'{run} has no switched convolutions: python -m sr_jax convert-to-switched makes a '
                'network that has'
            )
        self.breadth = switching.breadth
        self._predict = sharding.jit_predict(
            self._found.task.predict, mesh, self._found.config.dtype
        )

    def choose(
        self, image: Float[np.ndarray, 'h w 3']
    ) -> dict[str, Int[np.ndarray, 'rows columns']]:
        """The kernel of each pixel by layer of an image in [0, 1], for `selector_map.draw`.

        Raises:
          InputError: what the network makes is not finite.
        """
        outputs = self._predict(self._found.variables, {'hq': mirror_pad(image)[None]})
        check_finite(outputs, f'what {self._run} makes of the image')
        return {layer: np.asarray(chosen[0]) for layer, chosen in outputs['choices'].items()}


def count_uses(choices: Mapping[str, Int[np.ndarray, '_ _']], breadth: int) -> list[Use]:
    """How often each layer chose each of so many kernels."""
    found = []
    for layer, choice in choices.items():
        used = np.bincount(choice.ravel(), minlength=breadth)
        found.append(Use(layer, used / used.sum(), np.asarray(perplexity(used)).item()))
    return found
