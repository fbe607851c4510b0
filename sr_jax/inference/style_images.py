"""Images drawn from a generator of styles: by seeds, between seeds, and mixed of two of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sr_jax import models
from sr_jax.checkpoints.manager import find_checkpoints
from sr_jax.config.binding import Section
from sr_jax.errors import InputError
from sr_jax.images.finite import check_finite, clip_finite
from sr_jax.inference import networks
from sr_jax.models.protocols import StyleGenerator
from sr_jax.tasks.shared import style_drawing

COARSE, MIDDLE = 4, 8  # layers up to which styles are coarse, and then middle ones


def is_of_styles(source: str) -> bool:
    """Whether this is a run of a generator of styles, or a file of weights.

    Raises:
      InputError: there is no such run or file.
    """
    if not Path(source).is_dir():
        return Path(source).exists()
    found, _ = find_checkpoints(source)
    section = found.config(found.steps()[-1]).get('model')
    found.close()
    name = section.get('name') if isinstance(section, Section) else None
    return name in models.names(StyleGenerator)


class StyleImages:
    """Draws images of styles, in batches of one size.

    Args:
      network: a trained generator.
      truncation: how far styles go from the mean one; 1 leaves them.
      batch: how many are drawn at once; the last batch is filled up.

    Raises:
      InputError: the network is no generator of styles.
    """

    def __init__(self, network: networks.LoadedNetwork, truncation: float = 1.0, batch: int = 16):
        model: Any = network.module()
        if network.model['name'] not in models.names(StyleGenerator):
            known = ', '.join(models.names(StyleGenerator))
            raise InputError(
                f'{network.source} is a {network.model["name"]}, which draws no images from '
                f'latents: take a network of {known}'
            )
        self.model, self.variables = model, network.variables
        self._batch, self._truncation = batch, truncation
        params = self.variables['params']
        self.mean = jax.jit(lambda params: style_drawing.mean_style(model, params))(params)
        self._map = jax.jit(lambda params, z: style_drawing.map_latents(model, params, z))
        self._synthesize = jax.jit(
            lambda variables, styles: clip_finite(
                model.apply(variables, styles, method='synthesize')
            )
        )

    def draw_styles(self, seeds: Sequence[int]) -> Float[np.ndarray, 'n d']:
        """Returns the style of each seed, truncated; it depends on no other one."""
        keys = jax.vmap(jax.random.key)(jnp.asarray(np.asarray(seeds), jnp.uint32))
        found = []
        for start in range(0, len(seeds), self._batch):
            part = keys[start : start + self._batch]
            filled = part[jnp.arange(self._batch) % len(part)]
            z = style_drawing.draw_latents(self.model, filled)
            styles = self._map(self.variables['params'], z)[: len(part)]
            found.append(style_drawing.truncate(styles, self.mean, self._truncation))
        return np.concatenate([np.asarray(part) for part in found])

    def make(self, styles: Float[np.ndarray, 'n l d']) -> Iterator[Float[np.ndarray, 's s 3']]:
        """Makes the images of a style for each layer, in [0, 1], with the fixed noise.

        Raises:
          InputError: one is not finite.
        """
        for start in range(0, len(styles), self._batch):
            part = styles[start : start + self._batch]
            filled = part[np.arange(self._batch) % len(part)]
            images = np.asarray(self._synthesize(self.variables, filled))[: len(part)]
            check_finite(images, 'what the generator makes of these styles')
            yield from images

    def repeat(self, styles: Float[np.ndarray, 'n d']) -> Float[np.ndarray, 'n l d']:
        """Returns one style for all layers."""
        return np.repeat(styles[:, None], self.model.num_styles, axis=1)


def interpolate(styles: Float[np.ndarray, 'n d'], between: int) -> Float[np.ndarray, 'm d']:
    """Returns styles on straight lines from each to the next and from the last to the first.

    Args:
      styles: of the corners.
      between: steps from one to the next.
    """
    shares = np.arange(between, dtype=np.float32)[None, :, None] / between
    ends = np.roll(styles, -1, axis=0)
    return ((1 - shares) * styles[:, None] + shares * ends[:, None]).reshape(-1, styles.shape[1])


def mix(
    rows: Float[np.ndarray, 'r d'], columns: Float[np.ndarray, 'c d'], number: int, layers: slice
) -> Float[np.ndarray, 'r*c l d']:
    """Returns the styles of rows, those of some layers replaced by the columns'.

    Args:
      rows, columns: of images.
      number: layers of the network.
      layers: those that are replaced.
    """
    mixed = np.repeat(rows[:, None, None], len(columns), axis=1).repeat(number, axis=2)
    mixed[:, :, layers] = columns[None, :, None]
    return mixed.reshape(-1, number, rows.shape[1])


def layers_of(name: str, number: int) -> slice:
    """Returns the layers that are called so: 'coarse', 'middle' or 'fine'.

    Karras et al. 2018 (arXiv:1812.04948), figure 3: those of 4 and 8 pixels, of 16 and 32, others.
    """
    bounds = {'coarse': (0, COARSE), 'middle': (COARSE, MIDDLE), 'fine': (MIDDLE, number)}
    start, end = bounds[name]
    return slice(min(start, number), min(end, number))
