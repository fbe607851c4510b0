"""Stage 1 of VQ-VAE-2: pictures as codes and back (Razavi et al., arXiv:1906.00446)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from flax.training.dynamic_scale import DynamicScale

from sr_jax import models, optimizer
from sr_jax.config import bind, check_keys
from sr_jax.layers.quantizer import merge_statistics
from sr_jax.losses import pixel
from sr_jax.metrics.codebook import perplexity, usage
from sr_jax.tasks.task import SECTIONS, Task, TrainSettings, TrainState, check_dtype


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      reconstruction_weight: of the mean squared error of pictures in [-1, 1], as published.
      commitment_weight: of the mean squared distance of the encoder's output to its codes.
    """

    reconstruction_weight: float
    commitment_weight: float


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    predict's outputs are 'image'; 'codes': {'top': int32 [N, H/8, W/8], 'bottom': [N, H/4, W/4]};
    and 'code_counts': how often a picture uses each code, {'top': int32 [N, codebook_size], ...}.
    Height and width must be divisible by 8.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type.
    """
    check_keys(config, SECTIONS, (), 'config')
    check_dtype(config.dtype)
    train = bind(TrainSettings, config.train, 'config.train')
    model = models.make(config.model, dtype=config.dtype, remat=train.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    settings = bind(optimizer.OptimizerSettings, config.optimizer, 'config.optimizer')
    schedule = optimizer.make_schedule(settings, train.steps)
    transformation = optimizer.make(settings, schedule)

    def init(rng, batch):
        variables = dict(model.init(rng, batch['hq'][:1]))
        params = variables.pop('params')
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
            output, updated = model.apply(
                {'params': params, **state.variables},
                microbatch['hq'],
                train=True,
                mutable=['codebook_statistics'],
                rngs={'revive': key},
            )
            terms = {
                'reconstruction': pixel.l2(2 * output.image, 2 * microbatch['hq']),
                'commitment': output.commitment_loss,
            }
            total = (
                weights.reconstruction_weight * terms['reconstruction']
                + weights.commitment_weight * terms['commitment']
            )
            return total, (terms, updated['codebook_statistics'])

        params, opt_state, loss_scale, gradients = optimizer.accumulated_update(
            loss,
            state.params,
            state.opt_state,
            state.loss_scale,
            batch,
            jax.random.fold_in(rng, state.step),
            optimizer=transformation,
            accumulation=train.accumulation,
            merge=merge_statistics,
        )
        _, variables = model.apply(
            {'params': params, **state.variables},
            gradients.statistics,
            method='update_codebooks',
            mutable=['codebook'],
        )
        new = state.replace(
            params=params,
            variables=optimizer.select(gradients.taken, dict(variables), state.variables),
            opt_state=opt_state,
            ema_params=optimizer.ema(state.ema_params, params, settings.ema_decay, gradients.taken),
            loss_scale=loss_scale,
            step=state.step + 1,
        )
        return new, _metrics(gradients, new, schedule(state.step))

    def predict(variables, batch):
        output: Any = model.apply(variables, batch['hq'])
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
        return {'image': image, 'codes': output.codes, 'code_counts': counts}

    return Task(init, train_step, predict)


def _metrics(gradients, state, learning_rate):
    """Returns the scalars of a step, with how each codebook was used in its batch."""
    metrics = {
        'loss': gradients.loss,
        **gradients.terms,
        'gradient_norm': optax.tree.get(state.opt_state, 'gradient_norm'),
        'learning_rate': jnp.asarray(learning_rate),
        'finite_gradients': gradients.finite,
    }
    if state.loss_scale is not None:
        metrics['loss_scale'] = state.loss_scale.scale
    for name, variables in gradients.statistics.items():
        level = name.removeprefix('quantizer_')
        counts = variables['statistics'].counts
        metrics[f'usage_{level}'] = usage(counts)
        metrics[f'perplexity_{level}'] = perplexity(counts)
    return metrics
