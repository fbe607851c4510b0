"""Super-resolution against a discriminator: SRGAN, ESRGAN, Real-ESRGAN, and DL-Art-School's recipe.

The loss is a weighted sum of terms, each of which may begin at a step of its own: pixels first,
then features, then the discriminator, in one run or in several (`config.train.start_from`).
Without a discriminator it trains any network for super-resolution on the other terms.

The order is BasicSR's: the generator's update first, against the discriminator as it was; then the
discriminator's, on the images that the generator made before its update.
"""

import functools

import jax
import jax.numpy as jnp
import ml_collections
import optax
from flax import linen as nn
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array

from sr_jax import degradations, models
from sr_jax.config.binding import bind, check_keys
from sr_jax.config.settings import OptimizerSettings, TrainSettings
from sr_jax.errors import InputError
from sr_jax.losses import translational
from sr_jax.optim.optimizer import make_schedule
from sr_jax.tasks.generator import GANState, LossSettings, Parts, Translational, generator_step
from sr_jax.tasks.regression import check_crops, enlarge, first_variables
from sr_jax.tasks.shared import feature_network
from sr_jax.tasks.shared.discriminator import discriminator_step
from sr_jax.tasks.task import (
    SECTIONS,
    Batch,
    Metrics,
    Task,
    check_dtype,
    step_metrics,
)


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    Batches and predictions are those of `regression`, as is the generator: `config.model`. Beside
    its sections there may be `discriminator`, {'name': 'discriminators', and fields of its model}
    (none where the name is ''), and with it `discriminator_optimizer`. Both learning rates follow
    the steps of the run. With float16 both networks share one loss scale.

    Metrics are the generator's 'loss' and its terms by their names in `LossSettings` (0 while a
    weight is 0), and of the discriminator 'discriminator', its loss without penalties,
    'real_logits', 'fake_logits', 'r1' and 'gradient_penalty', the last two without their weights.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, crops that do not fit a
        network or each other, or an adversarial loss without a discriminator.
    """
    parts = _parts(config)
    return Task(
        init=functools.partial(_init, parts),
        train_step=functools.partial(_train_step, parts),
        predict=functools.partial(enlarge, parts.generator, parts.degradation),
        frozen=functools.partial(feature_network.frozen, parts.loss.perceptual),
    )


def _parts(config: ml_collections.ConfigDict) -> Parts:
    judging = ('discriminator', 'discriminator_optimizer')
    required = (*SECTIONS, 'degradation', *(judging if 'discriminator' in config else ()))
    check_keys(config, required, judging, 'config')
    check_dtype(config.dtype)
    train = bind(TrainSettings, config.train, 'config.train')
    loss = bind(LossSettings, config.loss, 'config.loss')
    fields = {'dtype': config.dtype, 'remat': train.remat}
    generator = models.make(config.model, **fields)
    check_crops(config.data.crop_size, generator)
    size = _judged_size(loss.translational, config.data.crop_size, generator.scale)
    optimizers, judge = {'generator': 'optimizer'}, None
    if config.get('discriminator', {}).get('name'):
        judge = models.make(config.discriminator, **fields)
        images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
        jax.eval_shape(judge.init, jax.random.key(0), images)
        optimizers['discriminator'] = 'discriminator_optimizer'
    elif loss.adversarial.ever:
        raise InputError('config.loss.adversarial has a weight, so it needs a config.discriminator')
    adapted = {}
    for network, section in optimizers.items():
        settings = bind(OptimizerSettings, config[section], f'config.{section}')
        adapted[network] = (settings, make_schedule(settings, train.steps))
    degradation = degradations.read_settings(config.degradation)
    degradations.check_source(degradation, config.data)
    return Parts(generator, judge, size, loss, degradation, train, config.dtype, adapted)


def _judged_size(settings: Translational, crop_size: int, scale: int) -> int:
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


def _init(parts: Parts, rng: Array, batch: Batch) -> GANState:
    params, variables = {}, {}
    params['generator'], variables['generator'] = first_variables(parts.generator, rng, batch)
    if parts.discriminator is not None:
        images = batch['hq'][:1, : parts.size, : parts.size]
        found = dict(parts.discriminator.init(jax.random.fold_in(rng, 1), images))
        params['discriminator'] = found.pop('params')
        variables['discriminator'] = found
    step = jnp.zeros((), jnp.int32)
    opt_state = {name: parts.transformation(name, step).init(params[name]) for name in params}
    averaged = parts.optimizers['generator'][0].ema_decay > 0
    return GANState(
        step=step,
        params=params,
        variables=variables,
        opt_state=opt_state,
        ema_params=jax.tree.map(jnp.copy, params['generator']) if averaged else None,
        loss_scale=DynamicScale() if parts.dtype == 'float16' else None,
    )


def _train_step(
    parts: Parts, state: GANState, batch: Batch, rng: Array
) -> tuple[GANState, Metrics]:
    step = state.step
    key, judging_key = jax.random.split(jax.random.fold_in(rng, step))
    state, gradients = generator_step(parts, state, batch, key)
    _, schedule = parts.optimizers['generator']
    metrics = step_metrics(gradients, state.of('generator'), schedule(step))
    model = parts.discriminator
    if model is not None:
        state, found = _judged(model, parts, state, gradients.outputs, judging_key)
        finite = (found.pop('finite_gradients'), metrics['finite_gradients'])
        metrics |= {**found, 'finite_gradients': jnp.concatenate(finite)}  # as params are sorted
    return state.replace(step=step + 1), metrics


def _judged(
    model: nn.Module, parts: Parts, state: GANState, images: dict[str, Array], key: Array
) -> tuple[GANState, Metrics]:
    """The discriminator's part of a training step."""
    settings, judge = parts.loss.adversarial, state.of('discriminator')
    if not settings.ever:
        return state, {'finite_gradients': jnp.ones(len(jax.tree.leaves(judge.params)), bool)}
    judge, gradients = discriminator_step(
        model,
        settings,
        judge,
        images,
        key,
        transformation=parts.transformation('discriminator', state.step),
        accumulation=parts.train.accumulation,
    )
    metrics = {
        **gradients.terms,
        'discriminator_gradient_norm': optax.tree.get(judge.opt_state, 'gradient_norm'),
        'discriminator_learning_rate': parts.optimizers['discriminator'][1](state.step),
        'finite_gradients': gradients.finite & jnp.isfinite(gradients.loss),
    }
    return state.having('discriminator', judge), metrics


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'degradation': degradations.KINDS,
    'discriminator_optimizer': OptimizerSettings,
}
