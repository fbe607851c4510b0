"""How a generator learns: the terms of its loss, and one update."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax import degradations
from sr_jax.config.settings import OptimizerSettings, TrainSettings
from sr_jax.layers import switching
from sr_jax.losses import pixel, translational
from sr_jax.losses.perceptual import perceptual_loss
from sr_jax.optim.optimizer import make_optimizer
from sr_jax.optim.update import Gradients, accumulated_update, ema, select
from sr_jax.tasks.shared import discriminator, feature_network
from sr_jax.tasks.shared.discriminator import Adversarial
from sr_jax.tasks.shared.feature_network import Perceptual
from sr_jax.tasks.shared.switched import mean_load_balancing
from sr_jax.tasks.shared.terms import Term, computed
from sr_jax.tasks.task import FROZEN, Batch, TrainState


@dataclasses.dataclass(frozen=True)
class Translational(Term):
    """The section `config.loss.translational`: see `sr_jax.losses.translational`.

    Attributes:
      crop_size: side of the crops of the true images, over half of theirs; 0 where there is no
        such loss. All other losses then see the crop in the top left corner alone, from the first
        step on, as in DL-Art-School.
      criterion: 'l1', 'l2' or 'charbonnier'.
      detach: no gradient goes through the second crop.
    """

    crop_size: int = 0
    criterion: str = 'l1'
    detach: bool = False

    def __post_init__(self):
        super().__post_init__()
        pixel.criterion(self.criterion)


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`: the terms of the generator's loss.

    Attributes:
      criterion: of the pixels: 'l1', 'l2' or 'charbonnier', of images in [0, 1].
      pixel: the weight of the pixels.
      perceptual, adversarial, translational: see there.
      load_balancing: of Switch Transformers' loss for even use of the kernels of switched
        convolutions.
    """

    criterion: str = 'l1'
    pixel: Term = dataclasses.field(default_factory=lambda: Term(1.0))
    perceptual: Perceptual = dataclasses.field(default_factory=Perceptual)
    adversarial: Adversarial = dataclasses.field(default_factory=Adversarial)
    translational: Translational = dataclasses.field(default_factory=Translational)
    load_balancing: Term = dataclasses.field(default_factory=Term)

    def __post_init__(self):
        pixel.criterion(self.criterion)


class GANState(TrainState):
    """A train state of two networks: `params`, `variables` and `opt_state` are each
    {'generator': ..., 'discriminator': ...}, `ema_params` are the generator's."""

    def inference_variables(self) -> dict[str, Any]:
        """Returns the generator's, as of any network for super-resolution."""
        return self.of('generator').inference_variables()

    def starting_with(self, variables: Mapping[str, Any]) -> 'GANState':
        """Returns the state with another run's generator; the discriminator stays."""
        return self.having('generator', self.of('generator').starting_with(variables))

    def of(self, network: str) -> TrainState:
        """Returns the state of one of the networks alone."""
        return TrainState(
            step=self.step,
            params=self.params[network],
            variables=self.variables[network],
            opt_state=self.opt_state[network],
            ema_params=self.ema_params if network == 'generator' else None,
            loss_scale=self.loss_scale,
        )

    def having(self, network: str, new: TrainState) -> 'GANState':
        """Returns the state with one of the networks changed, and the loss scale."""
        average = new.ema_params if network == 'generator' else self.ema_params
        return self.replace(
            params={**self.params, network: new.params},
            variables={**self.variables, network: new.variables},
            opt_state={**self.opt_state, network: new.opt_state},
            ema_params=average,
            loss_scale=new.loss_scale,
        )


class Parts(NamedTuple):
    """What a config makes; none of it changes.

    Attributes:
      generator: the network for super-resolution.
      discriminator: or None.
      size: side of the true images that losses see.
      loss: the terms of the loss.
      degradation: how small images come from true ones.
      train: the section `config.train`.
      dtype: `config.dtype`.
      optimizers: settings and learning rate of each network's.
    """

    generator: nn.Module
    discriminator: nn.Module | None
    size: int
    loss: LossSettings
    degradation: degradations.Settings
    train: TrainSettings
    dtype: str
    optimizers: dict[str, tuple[OptimizerSettings, optax.Schedule]]

    def transformation(self, network: str, step: Int[Array, '']) -> optax.GradientTransformation:
        """Returns a network's optimiser, at the rate of a step of the run."""
        settings, schedule = self.optimizers[network]
        return make_optimizer(settings, lambda count: schedule(step))


def generator_step(
    parts: Parts, state: GANState, batch: Batch, key: Array
) -> tuple[GANState, Gradients]:
    """One update of the generator, and of what its images' passes move in the discriminator.

    Returns:
      The state, whose `step` is the old one, and the gradients; their outputs are the images that
      losses saw, {'real': [N, h, w, 3], 'fake': those made before the update}.
    """

    def loss(params, microbatch, key):
        return _loss(parts, state, params, microbatch, key)

    old = state.of('generator')
    params, opt_state, loss_scale, gradients = accumulated_update(
        loss,
        old.params,
        old.opt_state,
        old.loss_scale,
        batch,
        key,
        optimizer=parts.transformation('generator', state.step),
        accumulation=parts.train.accumulation,
        merge=_merge,
    )
    taken, statistics = gradients.taken, gradients.statistics['generator']
    moved = {**old.variables, **switching.update(old.variables, statistics)}
    decay = parts.optimizers['generator'][0].ema_decay
    new = old.replace(
        params=params,
        variables=select(taken, moved, old.variables),
        opt_state=opt_state,
        ema_params=ema(old.ema_params, params, decay, taken),
        loss_scale=loss_scale,
    )
    state = state.having('generator', new)
    if 'discriminator' in gradients.statistics:
        judge, passes = state.of('discriminator'), gradients.statistics['discriminator']
        taken &= parts.loss.adversarial.at(state.step) > 0
        learnt = discriminator.learn(judge.variables, passes, taken)
        state = state.having('discriminator', judge.replace(variables=learnt))
    return state, gradients._replace(statistics=statistics)


def _merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The statistics of two microbatches together."""
    merged: dict[str, Any] = {'generator': switching.merge(first['generator'], second['generator'])}
    if 'discriminator' in first:
        name = 'discriminator'
        merged[name] = discriminator.merge(first[name], second[name])
    return merged


def _loss(
    parts: Parts, state: GANState, params: Any, batch: Batch, key: Array
) -> tuple[Float[Array, ''], tuple[dict[str, Array], dict[str, Any], dict[str, Array]]]:
    """The generator's loss, for `optimizer.accumulated_update`."""
    crop_key, noise_key, dropout_key = jax.random.split(key, 3)
    apply = functools.partial(_apply, parts.generator, params, state.variables['generator'])
    scale, settings, size = parts.generator.scale, parts.loss, parts.size
    lq, target = degradations.training_pair(
        batch, scale, parts.degradation, jax.random.fold_in(key, 1)
    )
    target = target[:, :size, :size]
    height, width = lq.shape[1:3]
    pair = translational.corner_crops(crop_key, height, width, size // scale, 'top_left')
    image, written = apply(translational.crop(lq, pair.first, pair.size), dropout_key)
    images = {'real': batch['hq'][:, :size, :size], 'fake': image}
    computations: dict[str, Callable[[], Any]] = {
        'perceptual': lambda: _perceptual(parts, state.variables[FROZEN], image, target),
        'translational': lambda: translational.translational_loss(
            lambda x: apply(x, dropout_key)[0],
            lq,
            image,
            pair,
            scale,
            settings.translational.criterion,
            settings.translational.detach,
        ),
        'load_balancing': lambda: mean_load_balancing(written['intermediates']),
        'adversarial': lambda: _fooling(parts, state, images, noise_key),
    }
    compare = pixel.criterion(settings.criterion)
    terms: dict[str, Any] = {'pixel': compare(image, target)}
    for name, compute in computations.items():
        if getattr(settings, name).ever:
            terms[name] = computed(getattr(settings, name), state.step, compute)
    statistics: dict[str, Any] = {'generator': switching.collect_statistics(written)}
    if 'adversarial' in terms:
        terms['adversarial'], statistics['discriminator'] = terms['adversarial']
    total = sum(getattr(settings, name).at(state.step) * terms[name] for name in terms)
    return total, (terms, statistics, jax.lax.stop_gradient(images))


def _apply(
    model: nn.Module, params: Any, variables: Mapping[str, Any], lq: Array, key: Array
) -> Any:
    """Returns what a network makes of small images in training, and what it wrote."""
    return model.apply(
        {'params': params, **variables},
        lq,
        train=True,
        mutable=list(switching.MUTABLE),
        rngs={'dropout': key},
    )


def _perceptual(parts: Parts, frozen: Any, image: Array, target: Array) -> Float[Array, '']:
    settings = parts.loss.perceptual
    features = feature_network.features(settings, frozen, parts.dtype, parts.train.remat)
    return perceptual_loss(features, image, target, settings.layers, settings.criterion)


def _fooling(
    parts: Parts, state: GANState, images: dict[str, Array], key: Array
) -> tuple[Float[Array, ''], discriminator.Passes]:
    model, judge = parts.discriminator, state.of('discriminator')
    assert model is not None  # `make` has seen to that
    settings = parts.loss.adversarial
    return discriminator.fooling(model, settings, judge.params, judge.variables, images, key)
