"""Super-resolution by likelihood: a conditional normalizing flow, SRFlow.

Lugmayr et al. 2020 (arXiv:2006.14200), equation 4: what is minimised is the negative log-likelihood
of the true image given the small one, and nothing else. The encoder, an RRDBNet that has learnt
before, may rest for the first part of a run.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax import degradations, models
from sr_jax.config.binding import bind
from sr_jax.config.settings import check_updates
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.losses.likelihood import bits_per_dimension
from sr_jax.models.srflow import Encoding, SRFlow
from sr_jax.tasks.shared import enlarging
from sr_jax.tasks.shared.evaluation import join, measure_numbers
from sr_jax.tasks.step import Objective, check_sections, make_step, read_training
from sr_jax.tasks.task import NOT_FINITE, Batch, Outputs, Task, TrainState, Variables

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
        check_updates(self, 'encoder_from')


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


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'degradation': degradations.KINDS,
    'sampling': SamplingSettings,
}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    Batches are those of `regression`; the crops' side must be a multiple of 2 to the number of
    levels. Before the first update of a run, layers get their data-dependent initialization from
    its first microbatch: see `sr_jax.layers.flow.act_norm`. The loss is in bits per dimension: see
    `sr_jax.losses.likelihood`. predict gives 'image', a sample of the temperature in
    `config.sampling`; 'lq'; and, where 'hq' is given and its sides are such multiples,
    'bits_per_dimension' of each image.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, another network than a flow,
        or crops that it cannot halve so often.
    """
    check_sections(config, 'degradation', 'sampling')
    training = read_training(config)
    made = models.make(config.model, dtype=config.dtype, remat=training.remat)
    model = check_flow(made, config.data.crop_size)
    loss = bind(LossSettings, config.loss, 'config.loss')
    sampling = bind(SamplingSettings, config.sampling, 'config.sampling')
    degradation = enlarging.read_degradation(config)
    pair = functools.partial(make_pair, model, degradation, loss)
    objective = Objective(
        functools.partial(compute_loss, model, loss, pair),
        merge=functools.partial(jax.tree.map, jnp.add),
        apply=lambda params, variables, faults: {},
        first=lambda state, microbatch, key: start_with_data(model, state, *pair(microbatch, key)),
        report=lambda faults, state: {f'{NOT_FINITE}{name}': n for name, n in faults.items()},
    )
    return Task(
        batch=functools.partial(enlarging.make_batch, config, model.scale, degradation),
        init=lambda key, batch: training.start(*enlarging.init_variables(model, key, batch)),
        train_step=make_step(objective, training),
        predict=functools.partial(predict, model, degradation, loss, sampling),
        evaluation=join(
            enlarging.make_evaluation(config), measure_numbers({'bits_per_dimension': False})
        ),
        panels=enlarging.make_panels(model),
        networks={'model': 'model'},
        usage=enlarging.USAGE,
    )


def compute_loss(
    model: SRFlow,
    loss: LossSettings,
    pair: Callable[[Batch, Array], tuple[Array, Array, Array | None]],
    params: Any,
    state: TrainState,
    microbatch: Batch,
    key: Array,
) -> tuple[Array, tuple[dict[str, Array], dict[str, Array], None]]:
    """The negative log-likelihood in bits per dimension: see `Objective.loss`."""
    lq, hq, noise = pair(microbatch, key)
    condition = _condition(model, params[ENCODER], lq, noise, state.step, loss.encoder_from)
    encoding = _apply(model, {'params': params}, hq, condition, method='encode')
    bits = bits_per_dimension(encoding.log_likelihood, hq[0].size).mean()
    return bits, ({}, _count_faults(encoding), None)


def _apply(model: nn.Module, variables: Mapping[str, Any], *inputs: Any, **options: Any) -> Any:
    """`model.apply`, of whose results linen says nothing."""
    return model.apply(variables, *inputs, **options)


def check_flow(model: nn.Module, crop_size: int) -> SRFlow:
    """Returns the network; raises InputError unless it is a flow that can halve the crops."""
    if not isinstance(model, SRFlow):
        raise InputError(
            f'config.model.name: {type(model).__name__} is no normalizing flow; task "flow" trains '
            'srflow'
        )
    enlarging.check_enlarger(model, crop_size)
    multiple = model.scale * model.multiple
    if crop_size % multiple:
        raise InputError(
            f'config.data.crop_size={crop_size} is no multiple of {multiple}, which an SRFlow of '
            f'scale {model.scale} halves {model.levels} times: take '
            f'{-(-crop_size // multiple) * multiple}'
        )
    return model


def make_pair(
    model: SRFlow, degradation: degradations.Settings, loss: LossSettings, batch: Batch, key: Array
) -> tuple[Float[Array, 'n h w 3'], Float[Array, 'n h2 w2 3'], Float[Array, ' n'] | None]:
    """The small images, the true ones with the noise of their quantisation, and how much further
    noise each of these has, if the flow is told: drawn evenly from 0 to the most."""
    keys = [jax.random.fold_in(key, i) for i in range(1, 5)]
    lq, target = degradations.training_pair(batch, model.scale, degradation, keys[0])
    hq = _add_noise(target, loss.quantization, keys[1])
    if not model.max_noise:
        return lq, hq, None
    noise = jax.random.uniform(keys[2], (len(hq),), hq.dtype, 0.0, model.max_noise)
    return lq, hq + noise[:, None, None, None] * jax.random.normal(keys[3], hq.shape), noise


def _add_noise(hq: Array, levels: int, key: Array) -> Array:
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


def start_with_data(
    model: SRFlow, state: TrainState, lq: Array, hq: Array, noise: Array | None
) -> Any:
    """The parameters after the data-dependent initialization of layers that have none yet."""
    variables = {'params': state.params}
    condition = _apply(model, variables, lq, noise, method='condition')
    _, mutated = _apply(model, variables, hq, condition, method='encode', mutable=['params'])
    return {**state.params, **mutated['params']}


def _count_faults(encoding: Encoding) -> dict[str, Int[Array, ' steps']]:
    """For each level 1 at those of its steps whose output was not finite."""
    return {name: (~finite).astype(jnp.int32) for name, finite in encoding.finite.items()}


def predict(
    model: SRFlow,
    degradation: degradations.Settings,
    loss: LossSettings,
    sampling: SamplingSettings,
    variables: Variables,
    batch: Batch,
    key: Array,
) -> Outputs:
    """`Task.predict`: see `make`."""
    lq = degradations.small_images(batch, model.scale, degradation)
    height, width = lq.shape[1:3]
    down, right = (-side % model.multiple for side in (height, width))
    padded = jnp.pad(lq, ((0, 0), (0, down), (0, right), (0, 0)), mode='edge')
    condition = _apply(model, variables, padded, method='condition')
    keys = jax.random.split(key, model.levels)
    latents = tuple(
        sampling.temperature * jax.random.normal(key, (len(lq), *shape))
        for key, shape in zip(keys, model.latent_shapes(*padded.shape[1:3]), strict=False)
    )
    image = _apply(model, variables, condition, latents, method='decode')
    hq = batch.get('hq', image[:, : height * model.scale, : width * model.scale])
    outputs: Outputs = {
        'image': clip_finite(image[:, : hq.shape[1], : hq.shape[2]]),
        'lq': lq,
    }
    if 'hq' in batch and hq.shape == image.shape:
        noisy = _add_noise(hq, loss.quantization, keys[-1])
        encoding = _apply(model, variables, noisy, condition, method='encode')
        bits = bits_per_dimension(encoding.log_likelihood, hq[0].size)
        outputs['bits_per_dimension'] = bits
    return outputs
