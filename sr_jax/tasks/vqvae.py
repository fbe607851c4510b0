"""Stage 1 of VQ-VAE-2: images as codes and back (Razavi et al., arXiv:1906.00446).

Some of the network's convolutions may be switched, `config.model.switching` (neonbjb, 2021).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from flax.training.dynamic_scale import DynamicScale

from sr_jax import models
from sr_jax.config.binding import bind, check_keys
from sr_jax.config.settings import OptimizerSettings, TrainSettings
from sr_jax.layers import quantizer, switching
from sr_jax.losses import pixel
from sr_jax.metrics.codebook import perplexity, usage
from sr_jax.optim.optimizer import make_optimizer, make_schedule
from sr_jax.optim.update import accumulated_update, ema, select
from sr_jax.tasks.shared.switched import mean_load_balancing
from sr_jax.tasks.task import (
    SECTIONS,
    Task,
    TrainState,
    check_dtype,
    step_metrics,
)

CODEBOOKS = 'codebook_statistics'


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      reconstruction_weight: of the mean squared error of images in [-1, 1], as published.
      commitment_weight: of the mean squared distance of the encoder's output to its codes.
      load_balancing_weight: of Switch Transformers' loss for even use of the kernels, the mean
        over the switched convolutions; 0 (with a switch norm there is no need of it) leaves it out.
    """

    reconstruction_weight: float = 1.0
    commitment_weight: float = 0.25
    load_balancing_weight: float = 0.0


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    predict's outputs are 'image'; 'codes': {'top': int32 [N, H/8, W/8], 'bottom': [N, H/4, W/4]};
    'code_counts': how often an image uses each code, {'top': int32 [N, codebook_size], ...};
    'commitment': float32 [N], the commitment loss of each image, the sum of both levels; and of a
    network with switched convolutions 'choices': {path of the layer: int32 [N, h, w]}.
    Height and width must be divisible by 8.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type.
    """
    check_keys(config, SECTIONS, (), 'config')
    check_dtype(config.dtype)
    train = bind(TrainSettings, config.train, 'config.train')
    model = models.make(config.model, dtype=config.dtype, remat=train.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    settings = bind(OptimizerSettings, config.optimizer, 'config.optimizer')
    schedule = make_schedule(settings, train.steps)
    transformation = make_optimizer(settings, schedule)

    def init(rng, batch):
        variables = dict(model.init(rng, batch['hq'][:1]))
        params = variables.pop('params')
        variables.pop('intermediates', None)
        switching.check_layers(params, model.switching)
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
            output, written = model.apply(
                {'params': params, **state.variables},
                microbatch['hq'],
                train=True,
                mutable=['codebook_statistics', *switching.MUTABLE],
                rngs={'revive': key, 'dropout': jax.random.fold_in(key, 1)},
            )
            terms = {
                'reconstruction': pixel.l2(2 * output.image, 2 * microbatch['hq']),
                'commitment': output.commitment_loss,
            }
            if weights.load_balancing_weight:
                terms['load_balancing'] = mean_load_balancing(written['intermediates'])
            total = sum(getattr(weights, f'{name}_weight') * terms[name] for name in terms)
            statistics = switching.collect_statistics(written)
            return total, (terms, {CODEBOOKS: written[CODEBOOKS], **statistics}, None)

        params, opt_state, loss_scale, gradients = accumulated_update(
            loss,
            state.params,
            state.opt_state,
            state.loss_scale,
            batch,
            jax.random.fold_in(rng, state.step),
            optimizer=transformation,
            accumulation=train.accumulation,
            merge=_merge,
        )
        _, codebooks = model.apply(
            {'params': params, **state.variables},
            gradients.statistics[CODEBOOKS],
            method='update_codebooks',
            mutable=['codebook'],
        )
        variables = {
            **state.variables,
            **codebooks,
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
        return new, _metrics(gradients, new, schedule(state.step))

    def predict(variables, batch):
        output, written = model.apply(variables, batch['hq'], mutable=['intermediates'])
        sizes = {
            'top': model.codebook_size,
            'bottom': model.bottom_codebook_size or model.codebook_size,
        }
        counts = {
            level: jax.vmap(lambda x, size=size: jnp.bincount(x.ravel(), length=size))(
                output.codes[level]
            )
            for level, size in sizes.items()
        }
        image = jnp.clip(output.image, 0.0, 1.0)
        commitment = sum(
            written['intermediates'][f'quantizer_{level}']['commitment'][0] for level in sizes
        )
        outputs = {'image': image, 'codes': output.codes, 'code_counts': counts}
        outputs['commitment'] = commitment
        if model.switching.layers:
            found = switching.choices(written['intermediates'])
            outputs['choices'] = {layer: choice for layer, choice, _ in found}
        return outputs

    return Task(init, train_step, predict)


def _merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The statistics of two microbatches together."""
    codebooks = quantizer.merge_statistics(first[CODEBOOKS], second[CODEBOOKS])
    others = ({k: v for k, v in part.items() if k != CODEBOOKS} for part in (first, second))
    return {CODEBOOKS: codebooks, **switching.merge(*others)}


def _metrics(gradients, state, learning_rate):
    """Returns the scalars of a step, with how its batch used each codebook."""
    metrics = step_metrics(gradients, state, learning_rate)
    for name, variables in gradients.statistics[CODEBOOKS].items():
        level = name.removeprefix('quantizer_')
        counts = variables['statistics'].counts
        metrics[f'usage_{level}'] = jnp.asarray(usage(counts))
        metrics[f'perplexity_{level}'] = jnp.asarray(perplexity(counts))
    return metrics


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings}
