"""Stage 1 of VQ-VAE-2: images as codes and back (Razavi et al., arXiv:1906.00446).

Some of the network's convolutions may be switched, `config.model.switching` (neonbjb, 2021).
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.layers import quantizer, switching
from sr_jax.losses import pixel
from sr_jax.metrics.codebook import perplexity, usage
from sr_jax.metrics.protocol import parse_all
from sr_jax.tasks.shared.evaluation import join, measure_images, measure_numbers
from sr_jax.tasks.shared.switched import (
    check_load_balancing,
    draw_selectors,
    init_network,
    mean_load_balancing,
    measure_choices,
    selector_metrics,
)
from sr_jax.tasks.step import Objective, Training, check_sections, make_step, read_training
from sr_jax.tasks.task import (
    Batch,
    Evaluation,
    Metrics,
    Outputs,
    Panels,
    Row,
    Task,
    Totals,
    TrainState,
    Variables,
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

    def __post_init__(self):
        for key, value in vars(self).items():
            if value < 0:
                raise InputError(f'config.loss.{key} must not be negative')


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', images [n, h, w, 3] in [0, 1], h and w divisible by 8. predict's outputs are
    'image'; 'codes': {'top': int32 [n, h/8, w/8], 'bottom': [n, h/4, w/4]}; 'code_counts': how
    often an image uses each code, {'top': int32 [n, codebook_size], ...}; 'commitment': float32
    [n], the commitment loss of each image, the sum of both levels; and of a network with switched
    convolutions 'choices': {path of the layer: int32 [n, h, w]}.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type.
    """
    check_sections(config)
    training = read_training(config)
    model: Any = models.make(config.model, dtype=config.dtype, remat=training.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    check_load_balancing(model, 'load_balancing_weight', weights.load_balancing_weight > 0)
    size = config.data.crop_size
    objective = Objective(
        loss=functools.partial(compute_loss, model, weights),
        merge=merge_statistics,
        apply=functools.partial(update_collections, model),
        report=report_use,
    )
    protocols = parse_all(config.evaluation.protocol)
    return Task(
        batch=lambda n: {'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32)},
        init=functools.partial(init, model, training),
        train_step=make_step(objective, training),
        predict=functools.partial(predict, model),
        evaluation=join(
            measure_images(protocols),
            measure_numbers({'commitment': False}),
            measure_codes(),
            measure_choices(),
        ),
        panels=functools.partial(panels, switching.settings_of(model)),
        networks={'model': 'model'},
        usage='reconstruct {run} IMAGE --output FOLDER',
    )


def init(model: Any, training: Training, key: Array, batch: Batch) -> TrainState:
    """The state at the start: see `Task.init`."""
    return training.start(*init_network(model, key, batch['hq'][:1]))


def compute_loss(
    model: Any, weights: LossSettings, params: Any, state: TrainState, microbatch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], None]]:
    """Reconstruction and commitment: see `Objective.loss`."""
    output, mutated = model.apply(
        {'params': params, **state.variables},
        microbatch['hq'],
        train=True,
        mutable=[CODEBOOKS, *switching.MUTABLE],
        rngs={'revive': key, 'dropout': jax.random.fold_in(key, 1)},
    )
    terms = {
        'reconstruction': pixel.l2(2 * output.image, 2 * microbatch['hq']),
        'commitment': output.commitment_loss,
    }
    if weights.load_balancing_weight:
        terms['load_balancing'] = mean_load_balancing(mutated['intermediates'])
    total = jnp.asarray(sum(getattr(weights, f'{name}_weight') * terms[name] for name in terms))
    statistics = switching.collect_statistics(mutated)
    return total, (terms, {CODEBOOKS: mutated[CODEBOOKS], **statistics}, None)


def merge_statistics(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The statistics of two microbatches together."""
    codebooks = quantizer.merge_statistics(first[CODEBOOKS], second[CODEBOOKS])
    others = ({k: v for k, v in part.items() if k != CODEBOOKS} for part in (first, second))
    return {CODEBOOKS: codebooks, **switching.merge(*others)}


def update_collections(
    model: Any, params: Any, variables: Variables, statistics: dict[str, Any]
) -> dict[str, Any]:
    """The codebooks, and what switched convolutions keep, after an update."""
    _, codebooks = model.apply(
        {'params': params, **variables},
        statistics[CODEBOOKS],
        method='update_codebooks',
        mutable=['codebook'],
    )
    return {**codebooks, **switching.update(variables, statistics)}


def report_use(statistics: dict[str, Any], state: TrainState) -> Metrics:
    """How a batch used each codebook, and each selector its kernels."""
    metrics = selector_metrics(statistics[switching.SELECTORS], state.variables)
    for name, variables in statistics[CODEBOOKS].items():
        level = name.removeprefix('quantizer_')
        counts = variables['statistics'].counts
        metrics[f'codebook/usage_{level}'] = jnp.asarray(usage(counts))
        metrics[f'perplexity_{level}'] = jnp.asarray(perplexity(counts))
    return metrics


def predict(model: Any, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """`Task.predict`: see `make`."""
    del key
    output, mutated = model.apply(variables, batch['hq'], mutable=['intermediates'])
    sizes = {'top': model.codebook_size, 'bottom': model.bottom_codebook_size}
    sizes['bottom'] = sizes['bottom'] or sizes['top']
    counts = {
        level: jax.vmap(lambda x, size=size: jnp.bincount(x.ravel(), length=size))(
            output.codes[level]
        )
        for level, size in sizes.items()
    }
    outputs: Outputs = {
        'image': clip_finite(output.image),
        'codes': output.codes,
        'code_counts': counts,
        'commitment': sum(
            mutated['intermediates'][f'quantizer_{level}']['commitment'][0] for level in sizes
        ),
    }
    if model.switching.layers:
        outputs['choices'] = switching.choices_by_layer(mutated['intermediates'])
    return outputs


def measure_codes() -> Evaluation:
    """Returns the evaluation of outputs['code_counts']: over all the images together
    'usage_<level>' and 'perplexity_<level>' of each codebook."""

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        counts = {level: used.sum(axis=0) for level, used in outputs['code_counts'].items()}
        return [{} for _ in batch['hq']], {'codes': counts}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del rows
        found = {}
        for level, used in totals['codes'].items():
            found[f'usage_{level}'] = np.asarray(usage(used)).item()
            found[f'perplexity_{level}'] = np.asarray(perplexity(used)).item()
        return found

    return Evaluation(measure, summarize, {})


def panels(settings: switching.Switching | None, batch: Batch, outputs: Outputs) -> Panels:
    """`Task.panels`: images beside what the network makes of their codes."""
    found = {'samples': [batch['hq'], outputs['image']]}
    return {**found, **draw_selectors(settings, batch['hq'], outputs)}
