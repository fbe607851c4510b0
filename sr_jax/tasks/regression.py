"""Super-resolution by regression: small images enlarged, compared with the true ones.

The small images are made from the true ones on the device, in the step itself, or come with them.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array

from sr_jax import degradations, models
from sr_jax.config.binding import bind, check_keys
from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.layers import switching
from sr_jax.losses import pixel
from sr_jax.models.protocols import Enlarger
from sr_jax.optim.optimizer import OptimizerSettings, make_optimizer, make_schedule
from sr_jax.optim.update import accumulated_update, ema, select
from sr_jax.tasks.shared.switched import mean_load_balancing
from sr_jax.tasks.task import (
    SECTIONS,
    Batch,
    Task,
    TrainSettings,
    TrainState,
    check_dtype,
    step_metrics,
)


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      criterion: 'l1', 'l2' or 'charbonnier', of images in [0, 1].
      load_balancing_weight: of Switch Transformers' loss for even use of the kernels of switched
        convolutions, the mean over them; 0 leaves it out.
    """

    criterion: str
    load_balancing_weight: float = 0.0

    def __post_init__(self):
        pixel.criterion(self.criterion)


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', the true images [N, H, W, 3] in [0, 1], whose sides are multiples of the
    network's scale for training; 'lq', the small ones, are made of them as `config.degradation`
    says, or with its name 'paired' come in the batch. The loss compares with the degradation's
    target, which may be a sharpened image. predict takes 'lq' where a batch has it, and 'hq' may
    then be missing; otherwise it degrades 'hq', the same image always alike. Its outputs are
    'image', the enlarged images (as large as 'hq' where that is given), 'lq', and of a network
    with switched convolutions 'choices': {path: int32 [N, h, w]}.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, or crops that the scale does
        not divide.
    """
    check_keys(config, (*SECTIONS, 'degradation'), (), 'config')
    check_dtype(config.dtype)
    train = bind(TrainSettings, config.train, 'config.train')
    model = models.make(config.model, dtype=config.dtype, remat=train.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    compare = pixel.criterion(weights.criterion)
    degradation = degradations.read_settings(config.degradation)
    settings = bind(OptimizerSettings, config.optimizer, 'config.optimizer')
    schedule = make_schedule(settings, train.steps)
    transformation = make_optimizer(settings, schedule)
    check_crops(config.data.crop_size, model)
    degradations.check_source(degradation, config.data)

    def init(rng, batch):
        params, variables = first_variables(model, rng, batch)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            variables=variables,
            opt_state=transformation.init(params),
            ema_params=jax.tree.map(jnp.copy, params) if settings.ema_decay else None,
            loss_scale=DynamicScale() if config.dtype == 'float16' else None,
        )

    def train_step(state, batch, rng):
        def loss(params, microbatch, key):
            lq, target = degradations.training_pair(
                microbatch, model.scale, degradation, jax.random.fold_in(key, 1)
            )
            image, written = model.apply(
                {'params': params, **state.variables},
                lq,
                train=True,
                mutable=list(switching.MUTABLE),
                rngs={'dropout': key},
            )
            total = compare(image, target)
            terms = {weights.criterion: total}
            if weights.load_balancing_weight:
                terms['load_balancing'] = mean_load_balancing(written['intermediates'])
                total += weights.load_balancing_weight * terms['load_balancing']
            return total, (terms, switching.collect_statistics(written), None)

        params, opt_state, loss_scale, gradients = accumulated_update(
            loss,
            state.params,
            state.opt_state,
            state.loss_scale,
            batch,
            jax.random.fold_in(rng, state.step),
            optimizer=transformation,
            accumulation=train.accumulation,
            merge=switching.merge,
        )
        variables = {
            **state.variables,
            **switching.update(state.variables, gradients.statistics),
        }
        new = state.replace(
            params=params,
            variables=select(gradients.taken, variables, state.variables),
            opt_state=opt_state,
            ema_params=ema(state.ema_params, params, settings.ema_decay, gradients.taken),
            loss_scale=loss_scale,
            step=state.step + 1,
        )
        return new, step_metrics(gradients, new, schedule(state.step))

    return Task(init, train_step, functools.partial(enlarge, model, degradation))


def first_variables(model: nn.Module, rng: Array, batch: Batch) -> tuple[Any, dict[str, Any]]:
    """Returns the parameters and the other collections of a network at the start.

    Raises:
      InputError: the config would have convolutions switched that the network has not.
    """
    variables = dict(model.init(rng, bicubic.degrade(batch['hq'][:1], model.scale, True)))
    params = variables.pop('params')
    variables.pop('intermediates', None)
    if _switched(model):
        switching.check_layers(params, model.switching)
    return params, variables


def enlarge(
    model: nn.Module,
    degradation: degradations.Settings,
    variables: Mapping[str, Any],
    batch: Batch,
) -> dict[str, Any]:
    """The function `predict` of tasks for super-resolution: see `make`."""
    lq = degradations.small_images(batch, model.scale, degradation)
    image, written = model.apply(variables, lq, mutable=['intermediates'])
    if 'hq' in batch:
        image = image[:, : batch['hq'].shape[1], : batch['hq'].shape[2]]
    outputs: dict[str, Any] = {'image': jnp.clip(image, 0.0, 1.0), 'lq': lq}
    if _switched(model):
        found = switching.choices(written['intermediates'])
        outputs['choices'] = {layer: choice for layer, choice, _ in found}
    return outputs


def _switched(model: nn.Module) -> bool:
    """Whether the config names convolutions of this network to be switched."""
    return bool(getattr(getattr(model, 'switching', None), 'layers', ()))


def check_crops(crop_size: int, model: nn.Module) -> None:
    """Raises InputError unless the network has a scale that divides the side of the crops."""
    if not isinstance(model, Enlarger):
        raise InputError(
            f'config.model.name: {type(model).__name__} has no scale, as networks for '
            f'super-resolution have: take {", ".join(models.names(Enlarger))}'
        )
    if crop_size % model.scale:
        raise InputError(
            f'config.data.crop_size={crop_size} is no multiple of config.model.scale='
            f'{model.scale}: take {-(-crop_size // model.scale) * model.scale}'
        )
