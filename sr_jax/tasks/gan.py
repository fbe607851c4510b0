"""Super-resolution against a discriminator: SRGAN, ESRGAN, Real-ESRGAN, and DL-Art-School's recipe.

The loss is a weighted sum of terms, each of which may begin at a step of its own: pixels first,
then features, then the discriminator, in one run or in several (`config.train.start_from`).
Without a discriminator it trains any network for super-resolution on the other terms.

The order is BasicSR's: the generator's update first, against the discriminator as it was; then the
discriminator's, on the images that the generator made before its update.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jax import lax
from jaxtyping import Array

from sr_jax import degradations, models
from sr_jax.config.binding import bind
from sr_jax.config.settings import OptimizerSettings
from sr_jax.degradations.mixing import MixingSettings, mix
from sr_jax.errors import InputError
from sr_jax.layers import switching
from sr_jax.losses import gradient_penalty, pixel, translational
from sr_jax.tasks.shared import discriminator as passes_of
from sr_jax.tasks.shared import dists, enlarging, feature_network
from sr_jax.tasks.shared.discriminator import Adversarial
from sr_jax.tasks.shared.dists import Dists
from sr_jax.tasks.shared.feature_network import Perceptual
from sr_jax.tasks.shared.switched import check_load_balancing, mean_load_balancing
from sr_jax.tasks.shared.terms import Criteria, Term, compute_if_active
from sr_jax.tasks.step import (
    Objective,
    Training,
    check_sections,
    optimizer_metrics,
    read_training,
    report_selectors,
    step_metrics,
    update,
)
from sr_jax.tasks.task import FROZEN, Batch, Load, Metrics, Task, TrainState

States = dict[str, TrainState]  # of 'generator' and, if there is one, 'discriminator'


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
        pixel.find_criterion(self.criterion)


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`: the terms of the generator's loss.

    Attributes:
      criterion: of the pixels: 'l1', 'l2' or 'charbonnier', of images in [0, 1].
      pixel: the weight of the pixels.
      criteria, perceptual, dists, adversarial, translational: see there.
      load_balancing: of Switch Transformers' loss for even use of the kernels of switched
        convolutions.
    """

    criterion: str = 'l1'
    pixel: Term = dataclasses.field(default_factory=lambda: Term(1.0))
    criteria: Criteria = dataclasses.field(default_factory=Criteria)
    perceptual: Perceptual = dataclasses.field(default_factory=Perceptual)
    dists: Dists = dataclasses.field(default_factory=Dists)
    adversarial: Adversarial = dataclasses.field(default_factory=Adversarial)
    translational: Translational = dataclasses.field(default_factory=Translational)
    load_balancing: Term = dataclasses.field(default_factory=Term)

    def __post_init__(self):
        pixel.find_criterion(self.criterion)


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'degradation': degradations.KINDS,
    'mixing': MixingSettings,
    'discriminator_optimizer': OptimizerSettings,
}


class Parts(NamedTuple):
    """What a config makes; none of it changes.

    Attributes:
      generator: the network for super-resolution.
      discriminator: or None.
      size: side of the true images that losses see.
      loss: the terms of the loss.
      degradation: how small images come from true ones.
      mixing: how images of a batch are mixed.
      training: of each network by its name.
    """

    generator: Any
    discriminator: Any
    size: int
    loss: LossSettings
    degradation: degradations.Settings
    mixing: MixingSettings
    training: dict[str, Training]


def generator_loss(
    parts: Parts, states: States, params: Any, state: TrainState, batch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], dict[str, Array]]]:
    """The sum of the terms, each with its weight at this step: see `Objective.loss`.

    The outputs are the images that the losses saw, {'real': [n, h, w, 3], 'fake': ...}.
    """
    crop_key, noise_key, dropout_key = jax.random.split(key, 3)
    apply = functools.partial(
        parts.generator.apply,
        {'params': params, **state.variables},
        train=True,
        mutable=list(switching.MUTABLE),
        rngs={'dropout': dropout_key},
    )
    settings, size, scale = parts.loss, parts.size, parts.generator.scale
    training, frozen = parts.training['generator'], state.variables.get(FROZEN, {})
    lq, target, real = _make_images(parts, batch, key)
    height, width = lq.shape[1:3]
    pair = translational.corner_crops(crop_key, height, width, size // scale, 'top_left')
    image, mutated = apply(translational.crop(lq, pair.first, pair.size))
    images = {'real': real, 'fake': image}

    terms: dict[str, Any] = {'pixel': pixel.find_criterion(settings.criterion)(image, target)}
    for name, compute in {
        'criteria': lambda: settings.criteria.compute(image, target),
        'perceptual': lambda: feature_network.compare(
            settings.perceptual, frozen['perceptual'], training, image, target
        ),
        'dists': lambda: dists.compare(frozen['dists'], training, image, target),
        'translational': lambda: translational.translational_loss(
            lambda x: apply(x)[0],
            *(lq, image, pair, scale),
            settings.translational.criterion,
            settings.translational.detach,
        ),
        'load_balancing': lambda: mean_load_balancing(mutated['intermediates']),
        'adversarial': lambda: passes_of.generator_adversarial_loss(
            parts.discriminator, settings.adversarial, states['discriminator'], images, noise_key
        ),
    }.items():
        if getattr(settings, name).ever:
            terms[name] = compute_if_active(getattr(settings, name), state.step, compute)
    statistics: dict[str, Any] = {'generator': switching.collect_statistics(mutated)}
    if 'adversarial' in terms:
        terms['adversarial'], statistics['discriminator'] = terms['adversarial']
    total = sum(getattr(settings, name).at(state.step) * terms[name] for name in terms)
    return jnp.asarray(total), (terms, statistics, lax.stop_gradient(images))


def _make_images(parts: Parts, batch: Batch, key: Array) -> list[Array]:
    """The small images, and of the size that losses see what they compare with, and true ones."""
    lq, target = degradations.training_pair(
        batch, parts.generator.scale, parts.degradation, jax.random.fold_in(key, 1)
    )
    mixed = mix(parts.mixing, jax.random.fold_in(key, 2), lq, target, batch['hq'])
    return [mixed[0], *(x[:, : parts.size, : parts.size] for x in mixed[1:])]


def discriminator_loss(
    parts: Parts, params: Any, state: TrainState, images: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], passes_of.Passes, None]]:
    """The adversarial loss and its penalties: see `Objective.loss`."""
    settings = parts.loss.adversarial
    images = passes_of.add_noise(images, settings.noise, key)
    logits, variables, norms = passes_of.apply_to_both(
        parts.discriminator, params, state.variables, images
    )

    def without_moving(x: Array) -> Array:
        return parts.discriminator.apply({'params': params, **variables}, x, train=True)

    total = settings.discriminator_loss(logits['real'], logits['fake'])
    terms = {'discriminator': total}
    terms |= {f'{kind}_logits': logits[kind].mean() for kind in ('real', 'fake')}
    if settings.gradient_penalty:
        penalty = gradient_penalty.gradient_penalty(without_moving, images['real'])
        terms['gradient_penalty'] = penalty
        total += settings.gradient_penalty * penalty
    if settings.r1:
        terms['r1'] = lax.cond(
            state.step % settings.r1_every == 0,
            lambda: gradient_penalty.r1(without_moving, images['real']),
            lambda: jnp.zeros(()),
        )
        total += settings.r1 * settings.r1_every * terms['r1']
    return total, (terms, passes_of.collect(variables, *norms), None)


def train_step(parts: Parts, states: States, batch: Batch, rng: Array) -> tuple[States, Metrics]:
    """One update of both networks: see `Task.train_step`."""
    old = states['generator']
    key, discriminator_key = jax.random.split(jax.random.fold_in(rng, old.step))
    objective = Objective(
        functools.partial(generator_loss, parts, states),
        merge=_merge_statistics,
        apply=lambda params, variables, found: switching.update(variables, found['generator']),
        report=lambda found, state: report_selectors(found['generator'], state),
    )
    training = parts.training['generator']
    generator, gradients = update(objective, training, old, batch, key)
    metrics = step_metrics(objective, training, gradients, generator)
    states = {**states, 'generator': generator.replace(step=old.step + 1)}
    if parts.discriminator is None:
        return states, metrics

    discriminator, settings = states['discriminator'], parts.loss.adversarial
    if 'discriminator' in gradients.statistics:  # what the generator's passes moved
        applied = gradients.applied & (settings.at(old.step) > 0)
        passes = gradients.statistics['discriminator']
        discriminator = passes_of.keep_passes(discriminator, passes, applied)
    discriminator, found = _update_discriminator(
        parts, discriminator, gradients.outputs, discriminator_key
    )
    finite = (found.pop('finite_gradients'), metrics['finite_gradients'])  # as params are sorted
    metrics |= {**found, 'finite_gradients': jnp.concatenate(finite)}
    states['discriminator'] = discriminator.replace(step=old.step + 1)
    return states, metrics


def _update_discriminator(
    parts: Parts, state: TrainState, images: Batch, key: Array
) -> tuple[TrainState, Metrics]:
    """One update of the discriminator, which is skipped while the weight of its loss is 0.

    BasicSR's relativistic loss has the generated images pass twice, once for their average alone;
    here that average is taken from the one pass there is. With batch norm this is the same.
    """
    settings, training = parts.loss.adversarial, parts.training['discriminator']
    if not settings.ever:
        return state, {'finite_gradients': jnp.ones(len(jax.tree.leaves(state.params)), bool)}
    objective = Objective(
        functools.partial(discriminator_loss, parts),
        merge=passes_of.merge,
        apply=lambda params, variables, passes: passes_of.learn(variables, passes),
        report=lambda passes, state: {},
    )

    def act() -> tuple[TrainState, Metrics]:
        new, gradients = update(objective, training, state, images, key)
        finite = gradients.finite & jnp.isfinite(gradients.loss)
        return new, {**gradients.terms, 'finite_gradients': finite}

    if settings.always:
        new, metrics = act()
    else:
        shapes = jax.eval_shape(act)[1]
        nothing = {name: jnp.zeros(s.shape, s.dtype) for name, s in shapes.items()}
        nothing['finite_gradients'] = jnp.ones_like(nothing['finite_gradients'])
        new, metrics = lax.cond(settings.at(state.step) > 0, act, lambda: (state, nothing))
    return new, metrics | optimizer_metrics(training, new, 'discriminator_optimizer')


def _merge_statistics(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The statistics of two microbatches together."""
    merges: dict[str, Any] = {'generator': switching.merge, 'discriminator': passes_of.merge}
    return {name: merges[name](first[name], second[name]) for name in first}


def load_frozen(settings: LossSettings, load: Load, training: bool) -> dict[str, Any] | None:
    """What the terms of the loss need by their names: see `Task.frozen`."""
    found = {
        'perceptual': feature_network.load_frozen(settings.perceptual, load, training),
        'dists': dists.load_frozen(settings.dists, load, training),
    }
    return {name: part for name, part in found.items() if part is not None} or None


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    Batches and predictions are those of `regression`, as is the generator: `config.model`. Beside
    its sections there may be `discriminator`, {'name': 'discriminators', and fields of its model}
    (none where the name is ''), and with it `discriminator_optimizer`. Both learning rates follow
    the steps of the run.

    Metrics are the generator's 'loss' and its terms by their names in `LossSettings` (0 while a
    weight is 0), and of the discriminator 'discriminator', its loss without penalties,
    'real_logits', 'fake_logits', 'r1' and 'gradient_penalty', the last two without their weights.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, crops that do not fit a
        network or each other, or an adversarial loss without a discriminator.
    """
    parts = read_parts(config)
    networks = {'generator': 'model'}
    if parts.discriminator is not None:
        networks['discriminator'] = 'discriminator'
    generator, degradation = parts.generator, parts.degradation
    return Task(
        batch=functools.partial(enlarging.make_batch, config, generator.scale, degradation),
        init=functools.partial(init, parts),
        train_step=functools.partial(train_step, parts),
        predict=functools.partial(enlarging.predict, generator, degradation),
        evaluation=enlarging.make_evaluation(config),
        panels=enlarging.make_panels(generator),
        networks=networks,
        loops={'generator': parts.training['generator'].loops(generator)},
        frozen=functools.partial(load_frozen, parts.loss),
        usage=enlarging.USAGE,
    )


def read_parts(config: ml_collections.ConfigDict) -> Parts:
    """Returns what a config makes; raises as `make` does."""
    own = ('discriminator', 'discriminator_optimizer')
    check_sections(
        *(config, 'degradation', 'mixing'),
        *(own if 'discriminator' in config else ()),
        optional=own,
    )
    loss = bind(LossSettings, config.loss, 'config.loss')
    training = {'generator': read_training(config)}
    fields = {'dtype': config.dtype, 'remat': training['generator'].remat}
    generator: Any = models.make(config.model, **fields)
    enlarging.check_enlarger(generator, config.data.crop_size)
    check_load_balancing(generator, 'load_balancing', loss.load_balancing.ever)
    size = _compared_size(loss.translational, config.data.crop_size, generator.scale)
    discriminator: nn.Module | None = None
    if config.get('discriminator', {}).get('name'):
        discriminator = models.make(config.discriminator, 'config.discriminator', **fields)
        images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
        jax.eval_shape(discriminator.init, jax.random.key(0), images)
        training['discriminator'] = read_training(config, 'discriminator_optimizer')
    elif loss.adversarial.ever:
        raise InputError('config.loss.adversarial has a weight, so it needs a config.discriminator')
    degradation = enlarging.read_degradation(config)
    mixing = bind(MixingSettings, config.mixing, 'config.mixing')
    return Parts(generator, discriminator, size, loss, degradation, mixing, training)


def _compared_size(settings: Translational, crop_size: int, scale: int) -> int:
    """Returns the side of the images that losses see; raises InputError for crops that no two
    corners of an image share."""
    size = settings.crop_size
    if not size and settings.ever:
        raise InputError('config.loss.translational has a weight, so it needs a crop_size')
    if not size:
        return crop_size
    if size % scale:
        raise InputError(
            f'config.loss.translational.crop_size={size} is no multiple of the scale {scale}'
        )
    translational.corner_pair(0, 1, crop_size, crop_size, size)
    return size


def init(parts: Parts, key: Array, batch: Batch) -> States:
    """The states of both networks at the start: see `Task.init`."""
    found = {'generator': enlarging.init_variables(parts.generator, key, batch)}
    if parts.discriminator is not None:
        images = batch['hq'][:1, : parts.size, : parts.size]
        variables = dict(parts.discriminator.init(jax.random.fold_in(key, 1), images))
        found['discriminator'] = (variables.pop('params'), variables)
    return {name: parts.training[name].start(*arrays) for name, arrays in found.items()}
