"""Super-resolution by regression: small images enlarged, compared with the true ones.

The small images are made from the true ones on the device, in the step itself, or come with them.
"""

import dataclasses
import functools
from typing import Any

import jax
import ml_collections
from flax import linen as nn
from jaxtyping import Array

from sr_jax import degradations, models
from sr_jax.config.binding import bind
from sr_jax.degradations.mixing import MixingSettings, mix
from sr_jax.errors import InputError
from sr_jax.layers import switching
from sr_jax.losses import pixel
from sr_jax.tasks.shared import enlarging
from sr_jax.tasks.shared.switched import check_load_balancing, mean_load_balancing
from sr_jax.tasks.step import Objective, check_sections, make_step, read_training
from sr_jax.tasks.task import Batch, Task, TrainState


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      criterion: 'l1', 'l2' or 'charbonnier', of images in [0, 1].
      load_balancing_weight: of Switch Transformers' loss for even use of the kernels of switched
        convolutions, the mean over them; 0 leaves it out.
    """

    criterion: str = 'l1'
    load_balancing_weight: float = 0.0

    def __post_init__(self):
        pixel.find_criterion(self.criterion)
        if self.load_balancing_weight < 0:
            raise InputError('config.loss.load_balancing_weight must not be negative')


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {
    'loss': LossSettings,
    'degradation': degradations.KINDS,
    'mixing': MixingSettings,
}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', the true images [n, h, w, 3] in [0, 1], whose sides are multiples of the
    network's scale for training; and of a source of pairs the small ones, 'lq'. The loss
    compares with the degradation's target, which may be a sharpened image. Predictions: see
    `sr_jax.tasks.shared.enlarging.predict`.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, or crops that the scale does
        not divide.
    """
    check_sections(config, 'degradation', 'mixing')
    training = read_training(config)
    model: Any = models.make(config.model, dtype=config.dtype, remat=training.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    check_load_balancing(model, 'load_balancing_weight', weights.load_balancing_weight > 0)
    degradation = enlarging.read_degradation(config)
    enlarging.check_enlarger(model, config.data.crop_size)
    mixing = bind(MixingSettings, config.mixing, 'config.mixing')
    objective = Objective(functools.partial(compute_loss, model, weights, degradation, mixing))
    return Task(
        batch=functools.partial(enlarging.make_batch, config, model.scale, degradation),
        init=lambda key, batch: training.start(*enlarging.init_variables(model, key, batch)),
        train_step=make_step(objective, training),
        predict=functools.partial(enlarging.predict, model, degradation),
        evaluation=enlarging.make_evaluation(config),
        panels=enlarging.make_panels(model),
        networks={'model': 'model'},
        loops={'model': training.loops(model)},
        usage=enlarging.USAGE,
    )


def compute_loss(
    model: nn.Module,
    weights: LossSettings,
    degradation: degradations.Settings,
    mixing: MixingSettings,
    params: Any,
    state: TrainState,
    microbatch: Batch,
    key: Array,
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], None]]:
    """The mean difference of enlarged and true images: see `Objective.loss`."""
    lq, target = degradations.training_pair(
        microbatch, model.scale, degradation, jax.random.fold_in(key, 1)
    )
    lq, target = mix(mixing, jax.random.fold_in(key, 2), lq, target)
    image, mutated = model.apply(
        {'params': params, **state.variables},
        lq,
        train=True,
        mutable=list(switching.MUTABLE),
        rngs={'dropout': key},
    )
    total = pixel.find_criterion(weights.criterion)(image, target)
    terms = {weights.criterion: total}
    if weights.load_balancing_weight:
        terms['load_balancing'] = mean_load_balancing(mutated['intermediates'])
        total += weights.load_balancing_weight * terms['load_balancing']
    return total, (terms, switching.collect_statistics(mutated), None)
