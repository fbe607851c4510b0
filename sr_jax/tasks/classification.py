"""Classification: which of some classes is an image of?"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.errors import InputError
from sr_jax.images import bars
from sr_jax.layers import switching
from sr_jax.layers.mixing import mix
from sr_jax.metrics.calibration import expected_calibration_error
from sr_jax.tasks.shared import classes
from sr_jax.tasks.shared.evaluation import join, means
from sr_jax.tasks.shared.switched import (
    check_load_balancing,
    draw_selectors,
    init_network,
    mean_load_balancing,
    measure_choices,
)
from sr_jax.tasks.step import Objective, Training, check_sections, make_step, read_training
from sr_jax.tasks.task import (
    Batch,
    Evaluation,
    Load,
    Outputs,
    Panels,
    Row,
    Task,
    Totals,
    TrainState,
    Variables,
)

SEVERAL = 5  # guesses that count for `top_5`


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      label_smoothing: share of the probability that all classes have alike (Szegedy et al. 2015,
        arXiv:1512.00567, section 7).
      mixup: of the Beta distribution of mixup's share; 0 = none.
      cutmix: likewise of CutMix; of both, one is drawn for each batch.
      load_balancing_weight: of the loss for even use of the kernels of switched convolutions.
    """

    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    load_balancing_weight: float = 0.0

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise InputError('config.loss.label_smoothing must be in [0, 1)')
        for key in ('mixup', 'cutmix', 'load_balancing_weight'):
            if getattr(self, key) < 0:
                raise InputError(f'config.loss.{key} must not be negative')


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', images [n, h, w, 3] in [0, 1], and 'label', int32 [n]. predict's outputs
    are 'probabilities' [n, classes] and 'confidence' [n], the largest of them; where there is a
    label 'top_1' and 'top_5', 1 where it is among so many guesses, and 'cross_entropy' in nats; and
    of a network with switched convolutions 'choices'.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type.
    """
    check_sections(config)
    training = read_training(config)
    model: Any = models.make(config.model, dtype=config.dtype, remat=training.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    check_load_balancing(model, 'load_balancing_weight', weights.load_balancing_weight > 0)
    size = config.data.crop_size
    return Task(
        batch=lambda n: {
            'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32),
            'label': jax.ShapeDtypeStruct((n,), jnp.int32),
        },
        init=functools.partial(init, model, training),
        train_step=make_step(
            Objective(functools.partial(compute_loss, model, weights)), training
        ),
        predict=functools.partial(predict, model),
        evaluation=join(measure_guesses(), measure_choices()),
        panels=functools.partial(panels, switching.settings_of(model)),
        networks={'model': 'model'},
        complete=complete,
        check=functools.partial(check, model.classes),
    )


def complete(config: ml_collections.ConfigDict, load: Load) -> None:
    """Writes the number of classes into a config: see `Task.complete`."""
    del load
    classes.complete(config, 'label')


def check(count: int, batch: Batch) -> Batch:
    """The batch; raises InputError for a label that is of no class: see `Task.check`."""
    classes.check_labels(batch['label'], count, 'a label')
    return batch


def init(model: Any, training: Training, key: Array, batch: Batch) -> TrainState:
    """The state at the start: see `Task.init`."""
    return training.start(*init_network(model, key, batch['hq'][:1]))


def compute_loss(
    model: Any, weights: LossSettings, params: Any, state: TrainState, microbatch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], None]]:
    """The mean cross-entropy, in nats: see `Objective.loss`."""
    targets = jax.nn.one_hot(microbatch['label'], model.classes)
    targets = optax.smooth_labels(targets, weights.label_smoothing)
    images, targets = mix(
        jax.random.fold_in(key, 1), microbatch['hq'], targets, weights.mixup, weights.cutmix
    )
    logits, mutated = model.apply(
        {'params': params, **state.variables},
        images,
        train=True,
        mutable=list(switching.MUTABLE),
        rngs={'dropout': key},
    )
    total = optax.softmax_cross_entropy(logits, targets).mean()
    terms = {'cross_entropy': total}
    if weights.load_balancing_weight:
        terms['load_balancing'] = mean_load_balancing(mutated['intermediates'])
        total += weights.load_balancing_weight * terms['load_balancing']
    return total, (terms, switching.collect_statistics(mutated), None)


def predict(model: Any, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """`Task.predict`: see `make`."""
    del key
    logits, mutated = model.apply(variables, batch['hq'], mutable=['intermediates'])
    probabilities = jax.nn.softmax(logits)
    outputs: Outputs = {'probabilities': probabilities, 'confidence': probabilities.max(axis=1)}
    if 'label' in batch:
        outputs |= compare(logits, batch['label'])
    if switching.settings_of(model):
        outputs['choices'] = switching.choices_by_layer(mutated['intermediates'])
    return outputs


def compare(logits: Float[Array, 'n k'], label: Int[Array, ' n']) -> Outputs:
    """Returns for each example whether the label is among the first guesses, and its nats."""
    own = jnp.take_along_axis(logits, label[:, None], axis=1)
    better = jnp.sum(logits > own, axis=1)  # classes that are guessed before the label
    return {
        'top_1': (better < 1).astype(jnp.float32),
        f'top_{SEVERAL}': (better < SEVERAL).astype(jnp.float32),
        'cross_entropy': optax.softmax_cross_entropy_with_integer_labels(logits, label),
    }


def measure_guesses() -> Evaluation:
    """Returns the evaluation of guesses among classes.

    Metrics: 'top_1' and 'top_5', the share of the examples whose label is among so many guesses;
    'cross_entropy'; and 'calibration_error' (`sr_jax.metrics.calibration`).
    """
    directions = {'top_1': True, f'top_{SEVERAL}': True, 'cross_entropy': False}
    names = [*directions, 'confidence']

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        columns = zip(*(outputs[name] for name in names), strict=True)
        return [dict(zip(names, map(float, row), strict=True)) for row in columns], {}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del totals
        confidence, correct = (np.array([row[k] for row in rows]) for k in ('confidence', 'top_1'))
        error = expected_calibration_error(confidence, correct > 0)
        return {**means(rows, directions), 'calibration_error': error}

    return Evaluation(measure, summarize, {**directions, 'calibration_error': False})


def panels(settings: switching.Switching | None, batch: Batch, outputs: Outputs) -> Panels:
    """`Task.panels`: images beside the probabilities of their classes."""
    images, labels = batch['hq'], batch['label']
    drawn = bars.draw(outputs['probabilities'], labels, images.shape[1:3])
    return {'samples': [images, drawn], **draw_selectors(settings, images, outputs)}
