"""StyleGAN2: images from latents, trained against a discriminator (arXiv:1912.04958).

The order is rosinality's: the discriminator's update, then the generator's. The two regularizers
are updates of their own, each taken once in so many (appendix B, "lazy regularization"): R1 of the
discriminator, and the path length of the generator. NVlabs' programs and rosinality's multiply the
rate and the powers of Adam's decays by k / (k + 1) for it, as `configs/stylegan2.py` does.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from jax import lax
from jaxtyping import Array

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.config.settings import OptimizerSettings
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.models.protocols import StyleGenerator
from sr_jax.optim.update import ema, split_microbatches
from sr_jax.tasks.shared import adaptive_augmentation, frechet, style_drawing
from sr_jax.tasks.shared import stylegan_losses as losses
from sr_jax.tasks.shared.adaptive_augmentation import Augmentation
from sr_jax.tasks.shared.frechet import FeatureSettings
from sr_jax.tasks.shared.stylegan_losses import (
    CUT,
    KEYS,
    MEAN_LENGTH,
    AverageSettings,
    LossSettings,
    Parts,
    own_collections,
)
from sr_jax.tasks.shared.switched import init_network
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

States = dict[str, TrainState]  # of 'generator', 'discriminator' and MOVING
MOVING = 'moving'  # no network: what regularization and augmentation remember
SHOWN_SHARE = 0.7  # of the truncated panel

# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'average': AverageSettings,
    'augmentation': Augmentation,
    'features': FeatureSettings,
    'discriminator_optimizer': OptimizerSettings,
}


def train_step(parts: Parts, states: States, batch: Batch, rng: Array) -> tuple[States, Metrics]:
    """One update of both networks: see `Task.train_step`."""
    step, moving = states['generator'].step, states[MOVING]
    keys = jax.random.split(jax.random.fold_in(rng, step), 4)
    drawn = [_draw(parts, batch, key) for key in keys]
    p, last = moving.variables['steering'].p, moving.variables['last']
    seen = len(batch['hq'])

    discriminator, found = _train_discriminator(
        parts, states, p, last, (drawn[0], drawn[1]), (keys[0], keys[1])
    )
    states = {**states, 'discriminator': discriminator}
    generator, more = _train_generator(
        parts, states, p, last, (drawn[2], drawn[3]), (keys[2], keys[3])
    )
    finite = [part.pop('finite_gradients') for part in (found, more)]
    metrics = {**found, **more, 'finite_gradients': jnp.concatenate(finite)}
    steering = adaptive_augmentation.steer(
        parts.augmentation, moving.variables['steering'], metrics.pop('real_signs'), step, seen
    )
    if parts.augmentation.ever:
        metrics['augmentation/p'] = steering.p
    kept = {name: metrics[name] for name in last}
    new = {
        'generator': generator,
        'discriminator': discriminator,
        MOVING: moving.replace(variables={'steering': steering, 'last': kept}),
    }
    return {name: state.replace(step=step + 1) for name, state in new.items()}, metrics


def _draw(parts: Parts, batch: Batch, key: Array) -> Batch:
    """Returns the batch with what its images are drawn by.

    There is one cut for a whole batch, as in NVlabs' programs and in rosinality's.
    """
    draw_key, mix_key, cut_key = jax.random.split(key, 3)
    number, count = parts.generator.num_styles, len(batch['hq'])
    mixed = jax.random.bernoulli(mix_key, parts.loss.style_mixing)
    cut = jnp.where(mixed, jax.random.randint(cut_key, (), 1, number), number)
    keys = style_drawing.keys_of_images(draw_key, batch['hq'], numbered=True)
    return {'hq': batch['hq'], KEYS: keys, CUT: jnp.broadcast_to(cut, (count,))}


def _train_discriminator(
    parts: Parts, states: States, p: Array, last: Metrics, batches: Any, keys: Any
) -> tuple[TrainState, Metrics]:
    """The update of the discriminator, and that of R1 when it is its time."""
    training, settings = parts.training['discriminator'], parts.loss
    state = states['discriminator']
    loss = functools.partial(losses.discriminator_loss, parts, states['generator'], p)
    new, gradients = update(Objective(loss), training, state, batches[0], keys[0])
    found = {**gradients.terms, **optimizer_metrics(training, new, 'discriminator_optimizer')}
    found['finite_gradients'] = gradients.finite & jnp.isfinite(gradients.loss)
    if not settings.r1:
        return new, found
    objective = Objective(functools.partial(losses.r1_loss, parts, p))
    new, lazy = _update_lazily(
        *(objective, training, new, settings.r1_every, batches[1], keys[1], ('r1',), last)
    )
    lazy['finite_gradients'] &= found['finite_gradients']
    return new, {**found, **lazy}


def _train_generator(
    parts: Parts, states: States, p: Array, last: Metrics, batches: Any, keys: Any
) -> tuple[TrainState, Metrics]:
    """The update of the generator, that of the path length when it is its time, the average."""
    training, settings = parts.training['generator'], parts.loss
    old = states['generator']
    objective = Objective(
        functools.partial(losses.generator_loss, parts, states['discriminator'], p)
    )
    new, gradients = update(
        objective, training, old.replace(ema_params=None), batches[0], keys[0]
    )
    metrics = step_metrics(objective, training, gradients, new)
    if settings.path_length:
        batch = _shrink(batches[1], settings.path_shrink, training.accumulation)
        if training.accumulation > 1:
            batch = _with_mean_length(parts, new, batch, keys[1])
        loss = functools.partial(losses.path_loss, parts, last['path_length'])
        new, lazy = _update_lazily(
            *(Objective(loss), training, new, settings.path_every, batch, keys[1]),
            *(('path_penalty', 'path_length'), last),
        )
        lazy['finite_gradients'] &= metrics['finite_gradients']
        metrics |= lazy
    decay = parts.average.decay(old.step, len(batches[0]['hq']))
    average = ema(old.ema_params, new.params, decay, gradients.applied)
    return new.replace(ema_params=average), metrics


def _update_lazily(
    objective: Objective,
    training: Training,
    state: TrainState,
    every: int,
    batch: Batch,
    key: Array,
    names: tuple[str, ...],
    last: Metrics,
) -> tuple[TrainState, Metrics]:
    """An update once in so many, of which no collection learns; its terms, or the last ones."""
    objective = objective._replace(
        apply=lambda params, variables, statistics: {}, report=lambda statistics, state: {}
    )

    def act() -> tuple[TrainState, Metrics]:
        new, gradients = update(objective, training, state, batch, key)
        finite = gradients.finite & jnp.isfinite(gradients.loss)
        kept = {name: gradients.terms[name] for name in names}
        return new, {**kept, 'finite_gradients': finite}

    def rest() -> tuple[TrainState, Metrics]:
        finite = jnp.ones(len(jax.tree.leaves(state.params)), bool)
        return state, {**{name: last[name] for name in names}, 'finite_gradients': finite}

    return lax.cond(state.step % every == 0, act, rest)


def _shrink(batch: Batch, factor: int, accumulation: int) -> Batch:
    """Returns one in so many images of a batch, of each device's."""
    count = len(batch['hq']) // accumulation
    if count % factor:
        raise InputError(
            f'config.loss.path_shrink={factor} does not divide config.train.batch_size={count}: '
            'take a divisor, such as 1'
        )
    return jax.tree.map(lambda x: x.reshape(-1, factor, *x.shape[1:])[:, 0], batch)


def _with_mean_length(parts: Parts, state: TrainState, batch: Batch, key: Array) -> Batch:
    """Returns the batch with the mean path length of all its images, by one part after the other.

    The parts draw the same again: see `accumulated_update` on the keys.
    """
    count = parts.training['generator'].accumulation
    keys = jax.random.split(key, count)
    lengths = lax.cond(
        state.step % parts.loss.path_every == 0,
        lambda: lax.map(
            lambda part: losses.measure_paths(parts, state.params, state, *part),
            (split_microbatches(batch, count), keys),
        ),
        lambda: jnp.zeros((count, len(batch['hq']) // count)),
    )
    return {**batch, MEAN_LENGTH: jnp.full(len(batch['hq']), lax.stop_gradient(lengths.mean()))}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', images [n, s, s, 3] in [0, 1], s the generator's size. predict draws one
    image beside each of them, by a key that comes of its pixels; its outputs are 'image', with the
    fixed noise, 'truncated', of a style on 0.7 of its way from the mean one, and 'real_features'
    and 'fake_features', of which the metric 'frechet' is made.

    Metrics are the generator's 'loss'; 'discriminator', its loss without the penalty;
    'real_logits', 'fake_logits'; 'r1', 'path_penalty' and 'path_length', its moving mean, without
    weights, as they were when they were last taken; and 'augmentation/p'.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, or networks that do not fit
        the images or are of another kind.
    """
    parts = read_parts(config)
    size = parts.generator.size

    def batch(n: int) -> Batch:
        return {'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32)}

    return Task(
        batch=batch,
        init=functools.partial(init, parts),
        train_step=functools.partial(train_step, parts),
        predict=functools.partial(predict, parts),
        evaluation=frechet.measure_distance(),
        panels=panels,
        networks={'generator': 'model', 'discriminator': 'discriminator'},
        frozen=functools.partial(frechet.load_frozen, parts.features),
        usage='sample {run} --output FOLDER',
    )


def read_parts(config: ml_collections.ConfigDict) -> Parts:
    """Returns what a config makes; raises as `make` does."""
    own = ('average', 'augmentation', 'features', 'discriminator', 'discriminator_optimizer')
    check_sections(config, *own)
    if config.dtype == 'float16':
        raise InputError("config.dtype='float16' overflows in modulated convolutions: 'bfloat16'")
    training = {
        'generator': read_training(config),
        'discriminator': read_training(config, 'discriminator_optimizer'),
    }
    _check_averages(training)
    fields = {'dtype': config.dtype, 'remat': training['generator'].remat}
    generator: Any = models.make(config.model, **fields)
    if not isinstance(generator, StyleGenerator):
        valid = ', '.join(models.names(StyleGenerator))
        raise InputError(f'config.model.name={config.model.name!r}: take one of {valid}')
    discriminator: Any = models.make(config.discriminator, 'config.discriminator', **fields)
    _check_sizes(generator, discriminator, config.data.crop_size)
    averaged = dataclasses.replace(training['generator'].settings, ema_decay=0.5)
    training['generator'] = training['generator']._replace(settings=averaged)
    sections = {
        'loss': LossSettings,
        'average': AverageSettings,
        'augmentation': Augmentation,
        'features': FeatureSettings,
    }
    bound = {key: bind(kind, config[key], f'config.{key}') for key, kind in sections.items()}
    return Parts(generator, discriminator, **bound, training=training)


def _check_averages(training: dict[str, Training]) -> None:
    for name, part in training.items():
        section = 'optimizer' if name == 'generator' else f'{name}_optimizer'
        if part.settings.ema_decay:
            raise InputError(
                f'config.{section}.ema_decay is set, but this task averages the generator by '
                'config.average.images'
            )


def _check_sizes(generator: Any, discriminator: Any, crop_size: int) -> None:
    """Raises InputError unless both networks are for images of the crops' size."""
    side, channels = generator.size, generator.channels
    assert max(generator.noise_sides) == side  # which looks at the size
    if (side, channels) != (crop_size, 3):
        raise InputError(
            f'config.model makes images of {side} pixels and {channels} channels, but '
            f'config.data.crop_size={crop_size}, in color: make them equal'
        )
    image = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
    jax.eval_shape(discriminator.init, jax.random.key(0), image)


def init(parts: Parts, key: Array, batch: Batch) -> States:
    """The states at the start: see `Task.init`."""
    found = {}
    latent = jnp.zeros((1, parts.generator.latent_size))
    examples = {'generator': latent, 'discriminator': batch['hq'][:1]}
    for number, (name, example) in enumerate(examples.items()):
        own = jax.random.fold_in(key, number)
        found[name] = parts.training[name].start(*init_network(getattr(parts, name), own, example))
    last = {name: jnp.zeros(()) for name in _remembered(parts.loss)}
    steering = adaptive_augmentation.begin(parts.augmentation)
    moving = {'steering': steering, 'last': last}
    found[MOVING] = TrainState(jnp.zeros((), jnp.int32), {}, moving, ())
    return found


def _remembered(settings: LossSettings) -> tuple[str, ...]:
    """The metrics of what is not taken in every update."""
    path = ('path_penalty', 'path_length') if settings.path_length else ()
    return (*(('r1',) if settings.r1 else ()), *path)


def predict(parts: Parts, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """`Task.predict`: see `make`."""
    model, own = parts.generator, own_collections(variables)
    keys = style_drawing.keys_of_images(key, batch['hq'], numbered=False)
    z = style_drawing.draw_latents(model, style_drawing.split_key(keys, 0))
    styles = style_drawing.map_latents(model, own['params'], z)
    mean = style_drawing.mean_style(model, own['params'])

    def synthesize(styles: Array) -> Array:
        every = jnp.repeat(styles[:, None], model.num_styles, axis=1)
        return clip_finite(model.apply(own, every, method='synthesize'))

    image = synthesize(styles)
    find = functools.partial(frechet.features, parts.features, variables[FROZEN])
    return {
        'image': image,
        'truncated': synthesize(style_drawing.truncate(styles, mean, SHOWN_SHARE)),
        'real_features': find(batch['hq']),
        'fake_features': find(image),
    }


def panels(batch: Batch, outputs: Outputs) -> Panels:
    """`Task.panels`: true images, drawn ones, and drawn ones with truncation."""
    return {'samples': [batch['hq'], outputs['image'], outputs['truncated']]}
