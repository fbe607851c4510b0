"""What StyleGAN2's networks minimize: the settings and the losses of the task `stylegan`."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from sr_jax.config.settings import check_updates
from sr_jax.errors import InputError
from sr_jax.layers import switching
from sr_jax.losses import adversarial, gradient_penalty
from sr_jax.losses.path_length import path_lengths, path_penalty
from sr_jax.tasks.shared import adaptive_augmentation, style_drawing
from sr_jax.tasks.shared.adaptive_augmentation import Augmentation
from sr_jax.tasks.shared.frechet import FeatureSettings
from sr_jax.tasks.step import Training
from sr_jax.tasks.task import FROZEN, Batch, TrainState, Variables

KEYS, CUT, MEAN_LENGTH = 'keys', 'cut', 'mean_length'  # of a batch, beside 'hq'


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      r1: gamma of the R1 penalty, whose weight is gamma / 2; of images on a scale of [-1, 1], as
        in the originals. 0 = none.
      r1_every: the penalty is an update once in so many, with so many times its weight.
      path_length: weight of the path length penalty; 0 = none.
      path_every: as `r1_every`.
      path_shrink: the penalty is taken of one in so many images of a batch.
      path_decay: how much of a batch goes into the moving mean of lengths.
      path_through_mean: whether a gradient goes through the batch's part of that mean: not in
        rosinality's program, but in NVlabs'.
      style_mixing: share of the batches whose images have two latents, one up to a layer drawn at
        random, the other from it on.
    """

    r1: float = 10.0
    r1_every: int = 16
    path_length: float = 2.0
    path_every: int = 4
    path_shrink: int = 2
    path_decay: float = 0.01
    path_through_mean: bool = False
    style_mixing: float = 0.9

    def __post_init__(self):
        for key, least in (
            *(('r1', 0), ('path_length', 0), ('r1_every', 1), ('path_every', 1)),
            *(('path_shrink', 1), ('path_decay', 0), ('style_mixing', 0)),
        ):
            if getattr(self, key) < least:
                raise InputError(f'config.loss.{key} must be at least {least}')
        check_updates(self, 'r1_every', 'path_every')
        for key in ('path_decay', 'style_mixing'):
            if getattr(self, key) > 1:
                raise InputError(f'config.loss.{key} must be at most 1')


@dataclasses.dataclass(frozen=True)
class AverageSettings:
    """The section `config.average`: the moving average of the generator, by images.

    Attributes:
      images: after so many, what the average held counts half.
      rampup: at first fewer: this share of the images seen so far; 0 = as many from the start.
    """

    images: int = 10_000
    rampup: float = 0.05

    def __post_init__(self):
        if self.images < 1 or self.rampup < 0:
            raise InputError('config.average.images must be at least 1, and rampup at least 0')

    def decay(self, step: Array, batch_size: int) -> Float[Array, '']:
        """Returns the average's decay in an update, counted from 0."""
        half = jnp.asarray(self.images, jnp.float32)
        if self.rampup:
            half = jnp.minimum(half, self.rampup * batch_size * step)
        return 0.5 ** (batch_size / jnp.maximum(half, 1e-8))


class Parts(NamedTuple):
    """What a config makes; none of it changes.

    Attributes:
      generator: the network that draws.
      discriminator: the network that it is trained against.
      loss, average, augmentation, features: the sections of the config.
      training: of each network by its name.
    """

    generator: Any
    discriminator: Any
    loss: LossSettings
    average: AverageSettings
    augmentation: Augmentation
    features: FeatureSettings
    training: dict[str, Training]


def draw(
    parts: Parts, params: Any, batch: Batch
) -> tuple[Float[Array, 'n l d'], list[Float[Array, 'n s s 1']]]:
    """Returns the styles and the noise of images, drawn by KEYS and CUT of a batch."""
    model = parts.generator
    latents = (
        style_drawing.draw_latents(model, style_drawing.split_key(batch[KEYS], number))
        for number in (0, 1)
    )
    mapped = [style_drawing.map_latents(model, params, z) for z in latents]
    styles = style_drawing.mix_styles(mapped, batch[CUT], model.num_styles)
    return styles, style_drawing.draw_noise(model, style_drawing.split_key(batch[KEYS], 2))


def synthesize(
    parts: Parts, params: Any, state: TrainState, styles: Array, noise: list[Array], key: Array
) -> tuple[Float[Array, 'n s s c'], Any]:
    """Returns images in training, and what the pass leaves in collections.

    Args:
      parts: of the config.
      params: of the generator.
      state: of the generator, for its collections.
      styles: of each layer.
      noise: of each convolution.
      key: for the dropout of switched convolutions.
    """
    made: tuple[Array, Any] = parts.generator.apply(
        {'params': params, **own_collections(state.variables)},
        *(styles, noise),
        train=True,
        method='synthesize',
        mutable=list(switching.MUTABLE),
        rngs={'dropout': key},
    )
    return made


def apply_discriminator(
    parts: Parts, params: Any, p: Array, images: Array, keys: Array
) -> Float[Array, 'n 1']:
    """Returns the logits of images, augmented with the probability p."""
    if parts.augmentation.ever:
        images = adaptive_augmentation.augment(images, p, keys)
    logits: Array = parts.discriminator.apply({'params': params}, images, train=True)
    return logits


def discriminator_loss(
    parts: Parts,
    generator: TrainState,
    p: Array,
    params: Any,
    state: TrainState,
    batch: Batch,
    key: Array,
) -> tuple[Array, tuple[dict[str, Array], Any, None]]:
    """The logistic loss of real images and of drawn ones: see `Objective.loss`."""
    del state
    drawn = draw(parts, generator.params, batch)
    fake = lax.stop_gradient(synthesize(parts, generator.params, generator, *drawn, key)[0])
    logits = {
        kind: apply_discriminator(
            parts, params, p, images, style_drawing.split_key(batch[KEYS], number)
        )
        for number, kind, images in ((3, 'real', batch['hq']), (4, 'fake', fake))
    }
    total = adversarial.discriminator_loss(logits['real'], logits['fake'])
    terms = {'discriminator': total}
    terms |= {f'{kind}_logits': logits[kind].mean() for kind in logits}
    terms['real_signs'] = jnp.sign(logits['real']).mean()
    return total, (terms, switching.collect_statistics({}), None)


def r1_loss(
    parts: Parts, p: Array, params: Any, state: TrainState, batch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], Any, None]]:
    """The R1 penalty with its lazy weight: see `Objective.loss`."""
    del state, key
    keys = style_drawing.split_key(batch[KEYS], 3)

    def signed(x: Array) -> Array:
        return apply_discriminator(parts, params, p, (x + 1) / 2, keys)

    penalty = gradient_penalty.r1(signed, batch['hq'] * 2 - 1)
    weight = parts.loss.r1 / 2 * parts.loss.r1_every
    return weight * penalty, ({'r1': penalty}, switching.collect_statistics({}), None)


def generator_loss(
    parts: Parts,
    discriminator: TrainState,
    p: Array,
    params: Any,
    state: TrainState,
    batch: Batch,
    key: Array,
) -> tuple[Array, tuple[dict[str, Array], Any, None]]:
    """The logistic loss that does not saturate: see `Objective.loss`."""
    image, mutated = synthesize(parts, params, state, *draw(parts, params, batch), key)
    keys = style_drawing.split_key(batch[KEYS], 4)
    logits = apply_discriminator(parts, discriminator.params, p, image, keys)
    total = adversarial.generator_loss(logits)
    return total, ({}, switching.collect_statistics(mutated), None)


def measure_paths(
    parts: Parts, params: Any, state: TrainState, batch: Batch, key: Array
) -> Float[Array, ' n']:
    """Returns the path lengths of images that are drawn."""
    styles, noise = draw(parts, params, batch)
    keys, shape = style_drawing.split_key(batch[KEYS], 5), batch['hq'].shape
    along = jax.vmap(lambda key: jax.random.normal(key, (math.prod(shape[1:]),)))(keys)

    def signed(styles: Array) -> Array:
        return synthesize(parts, params, state, styles, noise, key)[0] * 2 - 1

    return path_lengths(signed, styles, along.reshape(shape))


def path_loss(
    parts: Parts, mean: Array, params: Any, state: TrainState, batch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], Any, None]]:
    """The path length penalty with its lazy weight: see `Objective.loss`."""
    settings = parts.loss
    lengths = measure_paths(parts, params, state, batch, key)
    whole = batch[MEAN_LENGTH][0] if MEAN_LENGTH in batch else lengths.mean()
    penalty, moved = path_penalty(
        lengths, whole, mean, settings.path_decay, settings.path_through_mean
    )
    weight = settings.path_length * settings.path_every
    terms = {'path_penalty': penalty, 'path_length': moved}
    return weight * penalty, (terms, switching.collect_statistics({}), None)


def own_collections(variables: Variables) -> dict[str, Any]:
    """The collections that are the generator's own."""
    return {name: value for name, value in variables.items() if name != FROZEN}
