"""Super-resolution by likelihood: a conditional normalizing flow, SRFlow.

Lugmayr et al. 2020 (arXiv:2006.14200), equation 4: what is minimised is the negative log-likelihood
of the true image given the small one, and nothing else. The encoder, an RRDBNet that has learnt
before, may rest for the first part of a run.
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
from jaxtyping import Array, Float, Int

from sr_jax import degradations, models
from sr_jax.config.binding import bind, check_keys
from sr_jax.config.settings import OptimizerSettings, TrainSettings
from sr_jax.errors import InputError
from sr_jax.layers import switching
from sr_jax.losses.likelihood import bits_per_dimension
from sr_jax.models.srflow import Encoding, SRFlow
from sr_jax.optim.optimizer import make_optimizer, make_schedule
from sr_jax.optim.update import accumulated_update, ema, split_microbatches
from sr_jax.tasks.regression import check_crops, first_variables
from sr_jax.tasks.task import (
    NOT_FINITE,
    SECTIONS,
    Batch,
    Task,
    TrainState,
    check_dtype,
    step_metrics,
)

ENCODER = 'rrdb'


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      quantization: levels of a value: noise as wide as one, uniform, is added to true images. 256
        makes the likelihood that of 8-bit images; 32 is in the options of SRFlow; 0 adds none, as
        its released code does, and then images of few colours may have any likelihood.
      encoder_from: the step from which the encoder is trained as well: 0 = from the start, -1 =
        never.
    """

    quantization: int = 256
    encoder_from: int = -1

    def __post_init__(self):
        if self.quantization < 0:
            raise InputError('config.loss.quantization must not be negative (0 = no noise)')
        if self.encoder_from < -1:
            raise InputError('config.loss.encoder_from must be a step, or -1 for never')


@dataclasses.dataclass(frozen=True)
class SamplingSettings:
    """The section `config.sampling`.

    Attributes:
      temperature: standard deviation of the latents of images that are shown and measured. 0 gives
        the image of the most likely latents; the paper takes 0.9 for x4.
    """

    temperature: float = 0.8

    def __post_init__(self):
        if self.temperature < 0:
            raise InputError('config.sampling.temperature must not be negative')


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    Batches are those of `regression`; the crops' side must be a multiple of 2 to the number of
    levels. In the first update of a run, layers that have not learnt yet begin with the data of its
    first microbatch: see `sr_jax.layers.flow.act_norm`. The loss is in bits per dimension: see
    `sr_jax.losses.likelihood`. predict gives 'image', a sample of the temperature in
    `config.sampling`, always with the same noise; 'lq'; and, where 'hq' is given and its sides are
    such multiples, 'bits_per_dimension' of each image.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, another network than a flow,
        or crops that it cannot halve so often.
    """
    check_keys(config, (*SECTIONS, 'degradation', 'sampling'), (), 'config')
    check_dtype(config.dtype)
    train = bind(TrainSettings, config.train, 'config.train')
    made = models.make(config.model, dtype=config.dtype, remat=train.remat)
    model = _checked(made, config.data.crop_size)
    loss = bind(LossSettings, config.loss, 'config.loss')
    sampling = bind(SamplingSettings, config.sampling, 'config.sampling')
    degradation = degradations.read_settings(config.degradation)
    degradations.check_source(degradation, config.data)
    settings = bind(OptimizerSettings, config.optimizer, 'config.optimizer')
    schedule = make_schedule(settings, train.steps)
    transformation = make_optimizer(settings, schedule)

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
        def compute_loss(params, microbatch, key):
            lq, hq, noise = _pair(microbatch, model, degradation, loss, key)
            condition = _condition(model, params[ENCODER], lq, noise, state.step, loss.encoder_from)
            encoding = _apply(model, {'params': params}, hq, condition, method='encode')
            bits = bits_per_dimension(encoding.log_likelihood, hq[0].size).mean()
            return bits, ({}, _faults(encoding), None)

        key = jax.random.fold_in(rng, state.step)
        first = split_microbatches(batch, train.accumulation)
        first = jax.tree.map(lambda x: x[0], first)
        begun, average = jax.lax.cond(
            state.step == 0,
            lambda state: _begin(model, state, *_pair(first, model, degradation, loss, key)),
            lambda state: (state.params, state.ema_params),
            state,
        )
        params, opt_state, loss_scale, gradients = accumulated_update(
            compute_loss,
            begun,
            state.opt_state,
            state.loss_scale,
            batch,
            key,
            optimizer=transformation,
            accumulation=train.accumulation,
            merge=functools.partial(jax.tree.map, jnp.add),
        )
        new = state.replace(
            params=params,
            opt_state=opt_state,
            ema_params=ema(average, params, settings.ema_decay, gradients.taken),
            loss_scale=loss_scale,
            step=state.step + 1,
        )
        faults = {f'{NOT_FINITE}{name}': n for name, n in gradients.statistics.items()}
        gradients = gradients._replace(statistics={switching.SELECTORS: {}})
        return new, step_metrics(gradients, new, schedule(state.step)) | faults

    return Task(init, train_step, functools.partial(_predict, model, degradation, loss, sampling))


def _apply(model: nn.Module, variables: Mapping[str, Any], *inputs: Any, **options: Any) -> Any:
    """`model.apply`, of whose results linen says nothing."""
    return model.apply(variables, *inputs, **options)


def _checked(model: nn.Module, crop_size: int) -> SRFlow:
    if not isinstance(model, SRFlow):
        raise InputError(
            f'config.model.name: {type(model).__name__} is no normalizing flow; task "flow" trains '
            'srflow'
        )
    check_crops(crop_size, model)
    multiple = model.scale * model.multiple
    if crop_size % multiple:
        raise InputError(
            f'config.data.crop_size={crop_size} is no multiple of {multiple}, which an SRFlow of '
            f'scale {model.scale} halves {model.levels} times: take '
            f'{-(-crop_size // multiple) * multiple}'
        )
    return model


def _pair(
    batch: Batch, model: SRFlow, degradation: degradations.Settings, loss: LossSettings, key: Array
) -> tuple[Float[Array, 'n h w 3'], Float[Array, 'n h2 w2 3'], Float[Array, ' n'] | None]:
    """The small images, the true ones with the noise of their quantisation, and how much further
    noise each of these has, if the flow is told: drawn evenly from 0 to the most."""
    keys = [jax.random.fold_in(key, i) for i in range(1, 5)]
    lq, target = degradations.training_pair(batch, model.scale, degradation, keys[0])
    hq = _noisy(target, loss.quantization, keys[1])
    if not model.max_noise:
        return lq, hq, None
    noise = jax.random.uniform(keys[2], (len(hq),), hq.dtype, 0.0, model.max_noise)
    return lq, hq + noise[:, None, None, None] * jax.random.normal(keys[3], hq.shape), noise


def _noisy(hq: Array, levels: int, key: Array) -> Array:
    if not levels:
        return hq
    return hq + jax.random.uniform(key, hq.shape, hq.dtype, -0.5 / levels, 0.5 / levels)


def _condition(
    model: SRFlow,
    params: Any,
    lq: Array,
    noise: Array | None,
    step: Int[Array, ''],
    encoder_from: int,
) -> Any:
    """What the flow depends on; no gradient is computed for an encoder that rests."""

    def condition(params: Any) -> Any:
        return _apply(model, {'params': {ENCODER: params}}, lq, noise, method='condition')

    def resting(params: Any) -> Any:
        return condition(jax.lax.stop_gradient(params))

    if encoder_from <= 0:
        return condition(params) if encoder_from == 0 else resting(params)
    return jax.lax.cond(step >= encoder_from, condition, resting, params)


def _begin(
    model: SRFlow, state: TrainState, lq: Array, hq: Array, noise: Array | None
) -> tuple[Any, Any]:
    """The parameters once layers that have not learnt have begun with the data, and their mean."""
    variables = {'params': state.params}
    condition = _apply(model, variables, lq, noise, method='condition')
    _, written = _apply(model, variables, hq, condition, method='encode', mutable=['params'])
    begun = {**state.params, **written['params']}
    return begun, None if state.ema_params is None else begun


def _faults(encoding: Encoding) -> dict[str, Int[Array, ' steps']]:
    """For each level 1 at those of its steps whose output was not finite."""
    return {name: (~finite).astype(jnp.int32) for name, finite in encoding.finite.items()}


def _predict(
    model: SRFlow,
    degradation: degradations.Settings,
    loss: LossSettings,
    sampling: SamplingSettings,
    variables: Mapping[str, Any],
    batch: Batch,
) -> dict[str, Any]:
    """The function `predict`: see `make`."""
    lq = degradations.small_images(batch, model.scale, degradation)
    height, width = lq.shape[1:3]
    down, right = (-side % model.multiple for side in (height, width))
    padded = jnp.pad(lq, ((0, 0), (0, down), (0, right), (0, 0)), mode='edge')
    condition = _apply(model, variables, padded, method='condition')
    keys = jax.random.split(jax.random.key(0), model.levels)
    latents = tuple(
        sampling.temperature * jax.random.normal(key, (len(lq), *shape))
        for key, shape in zip(keys, model.latent_shapes(*padded.shape[1:3]), strict=False)
    )
    image = _apply(model, variables, condition, latents, method='decode')
    hq = batch.get('hq', image[:, : height * model.scale, : width * model.scale])
    outputs: dict[str, Any] = {
        'image': jnp.clip(image[:, : hq.shape[1], : hq.shape[2]], 0.0, 1.0),
        'lq': lq,
    }
    if 'hq' in batch and hq.shape == image.shape:
        noisy = _noisy(hq, loss.quantization, keys[-1])
        encoding = _apply(model, variables, noisy, condition, method='encode')
        bits = bits_per_dimension(encoding.log_likelihood, hq[0].size)
        outputs['bits_per_dimension'] = bits
    return outputs


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'degradation': degradations.KINDS,
    'sampling': SamplingSettings,
}
