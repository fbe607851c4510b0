"""An image as a generator would make it: the styles and the noise that come nearest to it.

Karras et al. 2019 (arXiv:1912.04958), appendix D: from the mean style, by Adam, with a rate that
rises, stays and falls, noise added to the style that fades, and noise maps that are kept noise: the
products of neighbors, at each of their resolutions, are to vanish, and the maps are normalized.
As distance, features of a network, or the pixels alone; here it is the one plus the other.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from sr_jax.images.finite import check_finite, clip_finite
from sr_jax.inference.style_images import StyleImages
from sr_jax.tasks.shared import style_drawing

RAMP_UP, RAMP_DOWN, FADED = 0.05, 0.25, 0.75  # shares of the steps
SMALLEST = 8  # side of a noise map that is still looked at
Distance = Callable[[Array, Array], Array]  # of images [n, h, w, 3] -> [n]


@dataclasses.dataclass(frozen=True)
class ProjectionSettings:
    """How an image is looked for.

    Attributes:
      steps: updates.
      rate: the highest learning rate.
      jitter: of the noise that is added to the style at first, in deviations of styles.
      noise_weight: of the regularization of the noise maps.
      seed: of the jitter and of the first noise maps.
    """

    steps: int = 1000
    rate: float = 0.1
    jitter: float = 0.05
    noise_weight: float = 1e5
    seed: int = 0


class Projected(NamedTuple):
    """What was found.

    Attributes:
      image: that the generator makes of it, in [0, 1].
      style: of all layers.
      noise: of each convolution.
      distance: to the image that was asked for.
    """

    image: Float[np.ndarray, 's s 3']
    style: Float[np.ndarray, ' d']
    noise: list[Float[np.ndarray, 's s']]
    distance: float


def project(
    images: StyleImages,
    target: Float[np.ndarray, 's s 3'],
    distance: Distance,
    settings: ProjectionSettings,
    report: Callable[[int, float], None] = lambda step, distance: None,
) -> Projected:
    """Returns what comes nearest to an image.

    Args:
      images: the generator.
      target: in [0, 1], as large as its images.
      distance: of two batches of images.
      settings: how it is looked for.
      report: is given the step and the distance after each.

    Raises:
      InputError: what the generator makes is not finite.
    """
    model, variables, wanted = images.model, images.variables, jnp.asarray(target)[None]
    key = jax.random.key(settings.seed)
    noise_key, jitter_key = jax.random.split(key)
    noise = style_drawing.draw_noise(model, noise_key[None])
    found = {'style': images.mean[None], 'noise': [_normalize(map_) for map_ in noise]}
    deviation = _deviation(images)
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=0.0, b1=0.9, b2=0.999)

    def synthesize(found: Any, jitter: Array) -> Array:
        styles = jnp.repeat((found['style'] + jitter)[:, None], model.num_styles, axis=1)
        made: Array = model.apply(variables, styles, found['noise'], method='synthesize')
        return made

    def loss(found: Any, jitter: Array) -> tuple[Array, Array]:
        apart = distance(synthesize(found, jitter), wanted).sum()
        return apart + settings.noise_weight * sum(map(neighbor_products, found['noise'])), apart

    @jax.jit
    def advance(found: Any, state: Any, step: Array) -> tuple[Any, Any, Array]:
        rate, jitter = _schedule(settings, step / settings.steps)
        state.hyperparams['learning_rate'] = rate
        drawn = jax.random.normal(jax.random.fold_in(jitter_key, step), found['style'].shape)
        gradient, apart = jax.grad(loss, has_aux=True)(found, jitter * deviation * drawn)
        updates, state = optimizer.update(gradient, state)
        found = optax.apply_updates(found, updates)
        return {**found, 'noise': [_normalize(map_) for map_ in found['noise']]}, state, apart

    state = optimizer.init(found)
    apart = jnp.zeros(())
    for step in range(settings.steps):
        found, state, apart = advance(found, state, jnp.asarray(step, jnp.float32))
        report(step + 1, float(apart))

    def finish(found: Any) -> tuple[Array, Array]:
        made = synthesize(found, jnp.zeros_like(found['style']))
        return clip_finite(made), distance(made, wanted)

    image, last = jax.jit(finish)(found)
    check_finite(image, 'what the generator makes of what was found')
    maps = [np.asarray(map_)[0, :, :, 0] for map_ in found['noise']]
    return Projected(np.asarray(image)[0], np.asarray(found['style'])[0], maps, float(last[0]))


def pixel_distance(first: Float[Array, 'n h w 3'], second: Float[Array, 'n h w 3']) -> Array:
    """Returns the mean squared difference of images."""
    return jnp.mean(jnp.square(first - second), axis=(1, 2, 3))


def neighbor_products(noise: Float[Array, '1 s s 1']) -> Float[Array, '']:
    """Returns the squared mean products of neighbors in a map, summed over its resolutions.

    Appendix D; each further resolution takes the means of squares of four, times 2.
    """
    total, map_ = jnp.zeros(()), noise
    while True:
        for axis in (1, 2):
            total += jnp.square(jnp.mean(map_ * jnp.roll(map_, 1, axis=axis)))
        if map_.shape[1] <= SMALLEST:
            return total
        half = map_.shape[1] // 2
        map_ = map_.reshape(1, half, 2, half, 2, 1).sum(axis=(2, 4)) / 2


def _normalize(noise: Float[Array, '1 s s 1']) -> Float[Array, '1 s s 1']:
    """Returns a map of mean 0 and variance 1."""
    centered = noise - noise.mean()
    return centered / jnp.sqrt(jnp.mean(jnp.square(centered)) + 1e-12)


def _deviation(images: StyleImages) -> float:
    """Returns how far styles lie from the mean one, by the root of the mean square."""
    styles = images.draw_styles(range(256))
    return float(np.sqrt(np.mean(np.sum(np.square(styles - np.asarray(images.mean)), axis=1))))


def _schedule(settings: ProjectionSettings, share: Array) -> tuple[Array, Array]:
    """Returns the learning rate, and by how many deviations styles are shifted at random."""
    ramp = jnp.minimum(1.0, (1 - share) / RAMP_DOWN)
    ramp = 0.5 - 0.5 * jnp.cos(ramp * math.pi)
    rate = settings.rate * ramp * jnp.minimum(1.0, share / RAMP_UP)
    return rate, settings.jitter * jnp.square(jnp.maximum(0.0, 1 - share / FADED))
