"""Recurrent super-resolution of clips: FRVSR, TecoGAN, and what of them can be left out.

The loss is a weighted sum of terms, as in `gan`. With a ping-pong loss, clips run forth and back,
and the two images that are made of each frame should be the same: what a network adds to its own
results frame after frame cannot be. The discriminator sees three frames at a time, also moved to
where the middle one is. Clips of one frame are images.

Chu et al. 2020, "Learning temporal coherence via self-supervision for GAN-based video generation"
(arXiv:1811.09393); Sajjadi et al. 2018 (arXiv:1801.04590).
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from sr_jax import degradations, models
from sr_jax.config.binding import Section, bind
from sr_jax.config.settings import OptimizerSettings
from sr_jax.degradations.settings import GaussianSettings
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.losses import adversarial, pixel, temporal
from sr_jax.metrics.protocol import parse_all
from sr_jax.models.protocols import Recurrent
from sr_jax.optim.update import select
from sr_jax.tasks.shared import clips, feature_network, triplets
from sr_jax.tasks.shared import discriminator as passes_of
from sr_jax.tasks.shared.clip_evaluation import measure_clips
from sr_jax.tasks.shared.feature_network import Perceptual
from sr_jax.tasks.shared.terms import Term, compute_if_active
from sr_jax.tasks.step import (
    Objective,
    Training,
    check_sections,
    optimizer_metrics,
    read_training,
    step_metrics,
    update,
)
from sr_jax.tasks.task import FROZEN, Batch, Metrics, Outputs, Panels, Task, TrainState, Variables

States = dict[str, TrainState]  # of 'generator' and, if there is one, 'discriminator'
BALANCE = 'balance'  # the collection of the discriminator's running average
BALANCE_DECAY = 0.99
EVERY = {27: 3, 18: 1}  # channels of a triplet -> at every so many frames one begins


@dataclasses.dataclass(frozen=True)
class Adversarial(Term):
    """The section `config.loss.adversarial`. The discriminator learns while the weight is not 0.

    Attributes:
      crop: the part of a side that the discriminator sees of images that were moved.
      max_balance: it rests while it is too good: while the running average of what it rates real
        triplets higher than generated ones, as a difference of logarithms of probabilities, is
        above it; 0: it never rests.
    """

    crop: float = 0.75
    max_balance: float = 0.4

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.crop <= 1:
            raise InputError('config.loss.adversarial.crop must lie in (0, 1]')


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`: the terms of the generator's loss.

    Attributes:
      criterion: of the pixels: 'l1', 'l2' or 'charbonnier', of images in [0, 1].
      pixel: the weight of the pixels.
      warp: of the squared differences between small frames and the frames before, moved to them:
        only this teaches the motion where images do not.
      ping_pong: of `sr_jax.losses.temporal.ping_pong_loss`; with a weight, clips run forth and
        back.
      perceptual: see there.
      adversarial: see there.
      blocks: of what the discriminator's blocks see of real and of generated triplets.
    """

    criterion: str = 'l2'
    pixel: Term = dataclasses.field(default_factory=lambda: Term(1.0))
    warp: Term = dataclasses.field(default_factory=lambda: Term(1.0))
    ping_pong: Term = dataclasses.field(default_factory=Term)
    perceptual: Perceptual = dataclasses.field(default_factory=Perceptual)
    adversarial: Adversarial = dataclasses.field(default_factory=Adversarial)
    blocks: Term = dataclasses.field(default_factory=Term)

    def __post_init__(self):
        pixel.find_criterion(self.criterion)


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'degradation': {'gaussian': GaussianSettings, **degradations.KINDS},
    'discriminator_optimizer': OptimizerSettings,
}


class Parts(NamedTuple):
    """What a config makes; none of it changes.

    Attributes:
      generator: the recurrent network.
      discriminator: or None.
      frames: of a clip.
      loss: the terms of the loss.
      degradation: how small frames come from true ones.
      training: of each network by its name.
    """

    generator: Any
    discriminator: Any
    frames: int
    loss: LossSettings
    degradation: degradations.Settings
    training: dict[str, Training]


def generator_loss(
    parts: Parts, states: States, params: Any, state: TrainState, batch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], dict[str, Array]]]:
    """The sum of the terms, each with its weight at this step: see `Objective.loss`.

    The outputs are the triplets that the discriminator is to learn from, if there is one.
    """
    settings, generator = parts.loss, parts.generator
    variables = {'params': params, **state.variables}
    hq = batch['hq']
    lq = clips.degrade_clips(hq, generator.scale, parts.degradation, key)
    if settings.ping_pong.ever:
        hq, lq = clips.ping_pong(hq), clips.ping_pong(lq)
    images, motions = clips.enlarge_clip(generator, variables, lq, train=True)
    terms: dict[str, Any] = {'pixel': pixel.find_criterion(settings.criterion)(images, hq)}
    shown: dict[str, Array] = {}
    statistics: dict[str, Any] = {}
    if parts.discriminator is not None:
        cut = functools.partial(_triplets, parts, lax.stop_gradient(variables), lq, motions)
        shown = {'real': cut(hq), 'fake': cut(images)}
        judged, statistics['discriminator'] = _judge(parts, states['discriminator'], shown)
        terms |= judged
    for name, compute in {
        'warp': lambda: pixel.l2(clips.move_to_next(lq, motions), lq[:, 1:]),
        'ping_pong': lambda: temporal.ping_pong_loss(images),
        'perceptual': lambda: _compare_features(parts, state.variables[FROZEN], images, hq),
    }.items():
        if getattr(settings, name).ever:
            terms[name] = compute_if_active(getattr(settings, name), state.step, compute)
    total = sum(getattr(settings, name).at(state.step) * terms[name] for name in terms)
    return jnp.asarray(total), (terms, statistics, lax.stop_gradient(shown))


def _triplets(
    parts: Parts, variables: Any, lq: Array, motions: Array, images: Array
) -> Float[Array, 'n h w c']:
    """What the discriminator sees of clips."""
    channels = parts.discriminator.channels
    if parts.loss.ping_pong.ever:
        backward = triplets.backward_of_ping_pong(motions)
    else:
        pairs = (clips.flatten(lq[:, 1:]), clips.flatten(lq[:, :-1]))
        found = parts.generator.apply(variables, *pairs, method='estimate_motion')
        backward = jnp.pad(
            clips.unflatten(found, len(lq)), [(0, 0), (0, 1), (0, 0), (0, 0), (0, 0)]
        )
    first = triplets.starts(lq.shape[1], EVERY[channels])
    three = triplets.cut_triplets(images, lq, motions, backward, first)
    crop = parts.loss.adversarial.crop
    if channels == 18:
        return triplets.in_18_channels(three, int(images.shape[2] * (1 - crop)) // 2)
    return triplets.in_27_channels(three, crop)


def _judge(
    parts: Parts, state: TrainState, shown: dict[str, Array]
) -> tuple[dict[str, Array], passes_of.Passes]:
    """The terms that the discriminator gives, and what its passes leave behind."""
    model, variables = parts.discriminator, state.variables
    judge = functools.partial(passes_of.apply_once, model, state.params, method='with_features')
    (_, real), variables, first = judge(variables, lax.stop_gradient(shown['real']))
    (logits, fake), variables, second = judge(variables, shown['fake'])
    terms = {'adversarial': adversarial.generator_loss(logits, 'vanilla')}
    if parts.loss.blocks.ever:
        terms['blocks'] = temporal.block_loss(lax.stop_gradient(real), fake)
    return terms, passes_of.collect(variables, first, second)


def _compare_features(parts: Parts, frozen: Any, images: Array, hq: Array) -> Array:
    pair = (clips.flatten(images), clips.flatten(hq))
    return feature_network.compare(
        parts.loss.perceptual, frozen, parts.training['generator'], *pair
    )


def discriminator_loss(
    parts: Parts, params: Any, state: TrainState, shown: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], passes_of.Passes, None]]:
    """The adversarial loss: see `Objective.loss`."""
    del key
    logits, variables, norms = passes_of.apply_to_both(
        parts.discriminator, params, state.variables, shown
    )
    total = adversarial.discriminator_loss(logits['real'], logits['fake'], 'vanilla')
    likely = {kind: jax.nn.log_sigmoid(x).mean() for kind, x in logits.items()}
    terms = {'discriminator': total, BALANCE: likely['real'] - likely['fake']}
    terms |= {f'{kind}_logits': logits[kind].mean() for kind in ('real', 'fake')}
    return total, (terms, passes_of.collect(variables, *norms), None)


def train_step(parts: Parts, states: States, batch: Batch, rng: Array) -> tuple[States, Metrics]:
    """One update of both networks: see `Task.train_step`. The generator's comes first."""
    old = states['generator']
    key, discriminator_key = jax.random.split(jax.random.fold_in(rng, old.step))
    objective = Objective(
        functools.partial(generator_loss, parts, states),
        merge=lambda a, b: {name: passes_of.merge(a[name], b[name]) for name in a},
        apply=lambda params, variables, found: {},
        report=lambda found, state: {},
    )
    training = parts.training['generator']
    generator, gradients = update(objective, training, old, batch, key)
    metrics = step_metrics(objective, training, gradients, generator)
    states = {**states, 'generator': generator.replace(step=old.step + 1)}
    if parts.discriminator is None:
        return states, metrics
    discriminator, found = _update_discriminator(
        parts,
        passes_of.keep_passes(
            states['discriminator'], gradients.statistics['discriminator'], gradients.applied
        ),
        gradients.outputs,
        discriminator_key,
    )
    finite = (found.pop('finite_gradients'), metrics['finite_gradients'])  # as params are sorted
    states['discriminator'] = discriminator.replace(step=old.step + 1)
    return states, {**metrics, **found, 'finite_gradients': jnp.concatenate(finite)}


def _update_discriminator(
    parts: Parts, state: TrainState, shown: Batch, key: Array
) -> tuple[TrainState, Metrics]:
    """One update of the discriminator, which is not applied while it is too good.

    Whether it is, the average up to the last step tells, as in TecoGAN's `lib/Teco.py`.
    """
    training, most = parts.training['discriminator'], parts.loss.adversarial.max_balance
    objective = Objective(
        functools.partial(discriminator_loss, parts),
        merge=passes_of.merge,
        apply=lambda params, variables, passes: passes_of.learn(variables, passes),
        report=lambda passes, state: {},
    )
    new, gradients = update(objective, training, state, shown, key)
    average = state.variables[BALANCE]['average']
    learns = (average < most) | (most == 0)
    learns &= parts.loss.adversarial.at(state.step) > 0
    new = select(learns, new, state)
    found = gradients.terms[BALANCE]
    later = BALANCE_DECAY * average + (1 - BALANCE_DECAY) * found
    later = jnp.where(jnp.isfinite(found), later, average)
    new = new.replace(variables={**new.variables, BALANCE: {'average': later}})
    metrics = {**gradients.terms, 'discriminator/learns': learns.astype(jnp.float32)}
    metrics['finite_gradients'] = gradients.finite & jnp.isfinite(gradients.loss)
    return new, metrics | optimizer_metrics(training, new, 'discriminator_optimizer')


def predict(parts: Parts, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """Predicts: `Task.predict`. Takes 'lq', small clips, or makes them of 'hq'; the outputs are
    'image', the enlarged clips [n, t, h, w, 3], as large as 'hq' where that is given, and 'lq'."""
    del key
    scale = parts.generator.scale
    if 'lq' in batch:
        lq = batch['lq']
    else:
        lq = clips.degrade_clips(batch['hq'], scale, parts.degradation)
    image, _ = clips.enlarge_clip(parts.generator, variables, lq)
    return {'image': clip_finite(image), 'lq': lq}


def panels(batch: Batch, outputs: Outputs) -> Panels:
    """`Task.panels`: of the last frames, what was given, what is made of it, and the truth."""
    given, image, truth = (x[:, -1] for x in (outputs['lq'], outputs['image'], batch['hq']))
    factor = truth.shape[1] // given.shape[1]
    large = np.repeat(np.repeat(given, factor, axis=1), factor, axis=2)
    return {'samples': [large, image, truth]}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', clips [n, t, h, w, 3] in [0, 1]. Beside its sections there may be
    `discriminator`, {'name': 'spatio_temporal', and fields of its model} (none where the name is
    ''), and with it `discriminator_optimizer`. Metrics are the generator's 'loss' and its terms by
    their names in `LossSettings`, and of the discriminator 'discriminator', 'real_logits',
    'fake_logits', 'balance', and 'discriminator/learns', 0 while it rests.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, crops or clips that do not
        fit a network or a loss, or a loss without what it needs.
    """
    parts = read_parts(config)
    networks = {'generator': 'model'}
    if parts.discriminator is not None:
        networks['discriminator'] = 'discriminator'
    size, frames = config.data.crop_size, config.data.frames

    def batch(n: int) -> Batch:
        return {'hq': jax.ShapeDtypeStruct((n, frames, size, size, 3), jnp.float32)}

    return Task(
        batch=batch,
        init=functools.partial(init, parts),
        train_step=functools.partial(train_step, parts),
        predict=functools.partial(predict, parts),
        evaluation=measure_clips(parse_all(config.evaluation.protocol)),
        panels=panels,
        networks=networks,
        frozen=functools.partial(feature_network.load_frozen, parts.loss.perceptual),
        usage='upscale FILM --weights {run} --output FOLDER',
    )


def read_parts(config: ml_collections.ConfigDict) -> Parts:
    """Returns what a config makes; raises as `make` does."""
    own = ('discriminator', 'discriminator_optimizer')
    check_sections(config, 'degradation', *(own if 'discriminator' in config else ()), optional=own)
    loss = bind(LossSettings, config.loss, 'config.loss')
    training = {'generator': read_training(config)}
    fields = {'dtype': config.dtype, 'remat': training['generator'].remat}
    generator: Any = models.make(config.model, **fields)
    check_clips(generator, config.data, loss)
    discriminator: Any = None
    if config.get('discriminator', {}).get('name'):
        discriminator = models.make(config.discriminator, 'config.discriminator', **fields)
        _check_discriminator(discriminator, config.discriminator.name)
        training['discriminator'] = read_training(config, 'discriminator_optimizer')
    elif loss.adversarial.ever or loss.blocks.ever:
        name = 'adversarial' if loss.adversarial.ever else 'blocks'
        raise InputError(f'config.loss.{name} has a weight, so it needs a config.discriminator')
    degradation = degradations.read_settings(config.degradation)
    clips.check_degradation(degradation)
    return Parts(generator, discriminator, config.data.frames, loss, degradation, training)


def _check_discriminator(model: Any, name: str) -> None:
    if getattr(model, 'channels', None) not in EVERY or not hasattr(model, 'with_features'):
        raise InputError(
            f'config.discriminator.name={name!r} does not judge clips: take spatio_temporal, of '
            f'{" or ".join(map(str, EVERY))} channels'
        )


def check_clips(model: Any, data: Section, loss: LossSettings) -> None:
    """Raises InputError unless clips fit the network and the losses."""
    if not isinstance(model, Recurrent):
        raise InputError(
            f'config.model.name: {type(model).__name__} is not recurrent: take '
            f'{", ".join(models.names(Recurrent))}'
        )
    if data['crop_size'] % model.scale:
        raise InputError(
            f'config.data.crop_size={data["crop_size"]} is no multiple of config.model.scale='
            f'{model.scale}'
        )
    for spec in filter(None, (data['source'], data['validation_source'])):
        clips.check_source(spec)
    needed = {'warp': 2, 'ping_pong': 2, 'adversarial': 2 if loss.ping_pong.ever else 3}
    for name, least in needed.items():
        if getattr(loss, name).ever and data['frames'] < least:
            raise InputError(
                f'config.loss.{name} has a weight, so it needs clips of at least {least} frames '
                f'(config.data.frames={data["frames"]})'
            )


def init(parts: Parts, key: Array, batch: Batch) -> States:
    """The states of both networks at the start: see `Task.init`."""
    scale = parts.generator.scale
    size = batch['hq'].shape[2]
    small = jnp.zeros((1, size // scale, size // scale, 3))
    found = {'generator': dict(parts.generator.init(key, small))}
    if parts.discriminator is not None:
        shown = parts.discriminator.example(1)
        arrays = parts.discriminator.init(jax.random.fold_in(key, 1), jnp.zeros(shown.shape))
        found['discriminator'] = {**arrays, BALANCE: {'average': jnp.zeros(())}}
    return {
        name: parts.training[name].start(arrays.pop('params'), arrays)
        for name, arrays in found.items()
    }
