"""From settings to an optax optimiser, and the accumulated, guarded gradient step."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError

SCALINGS: dict[str, Callable[..., optax.GradientTransformation]] = {
    'adam': optax.scale_by_adam,
    'lamb': optax.scale_by_adam,
    'lion': optax.scale_by_lion,
}
SCHEDULES = ('constant', 'cosine', 'linear', 'multistep')


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The section `config.optimizer`.

    Attributes:
      name: 'adam' (AdamW when weight_decay > 0), 'lamb' or 'lion'.
      learning_rate: the highest one, reached after the warm-up.
      schedule: 'constant', 'cosine' (to 0 at the last step), 'linear' (to 0), or 'multistep'
        (times `decay_factor` at each of `milestones`).
      warmup_steps: updates in which the rate rises linearly from 0.
      milestones: updates, for 'multistep'.
      decay_factor: for 'multistep'.
      b1, b2: decay of the first and second moment.
      eps: added to the root of the second moment (adam, lamb).
      weight_decay: decoupled (Loshchilov and Hutter, arXiv:1711.05101), on arrays of two or more
        dimensions, so not on biases; 0 = none.
      clip_norm: the gradient's global norm is clipped to it; 0 = never.
      ema_decay: of the moving average of the parameters that predictions then use; 0 = none.
    """

    name: str
    learning_rate: float
    schedule: str
    warmup_steps: int
    milestones: tuple[int, ...]
    decay_factor: float
    b1: float
    b2: float
    eps: float
    weight_decay: float
    clip_norm: float
    ema_decay: float

    def __post_init__(self):
        for key, value, valid in (
            ('name', self.name, tuple(SCALINGS)),
            ('schedule', self.schedule, SCHEDULES),
        ):
            if value not in valid:
                raise InputError(f'config.optimizer.{key}={value!r}: {nearest(value, valid)}')
        for key in ('b1', 'b2', 'ema_decay'):
            if not 0 <= getattr(self, key) < 1:
                raise InputError(f'config.optimizer.{key} must be in [0, 1)')
        for key in ('learning_rate', 'weight_decay', 'clip_norm', 'warmup_steps'):
            if getattr(self, key) < 0:
                raise InputError(f'config.optimizer.{key} must not be negative')


def make_schedule(settings: OptimizerSettings, steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the update's number, for a run of `steps`."""
    rate, warmup = settings.learning_rate, settings.warmup_steps
    rest = max(steps - warmup, 1)
    main: optax.Schedule
    if settings.schedule == 'cosine':
        main = optax.cosine_decay_schedule(rate, rest)
    elif settings.schedule == 'linear':
        main = optax.linear_schedule(rate, 0.0, rest)
    elif settings.schedule == 'multistep':
        factors = {step - warmup: settings.decay_factor for step in settings.milestones}
        main = optax.piecewise_constant_schedule(rate, factors)
    else:
        main = optax.constant_schedule(rate)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup), main], [warmup])


class GradientNorm(NamedTuple):
    """State of `record_gradient_norm`."""

    gradient_norm: Float[Array, '']


def record_gradient_norm() -> optax.GradientTransformation:
    """Leaves the gradient as it is and keeps its global norm in the state, for the log."""
    return optax.GradientTransformation(
        init=lambda params: GradientNorm(jnp.zeros(())),
        update=lambda grads, state, params=None: (grads, GradientNorm(optax.tree.norm(grads))),
    )


def make_optimizer(
    settings: OptimizerSettings, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """Returns the optimiser of the settings, following the schedule of `make_schedule`.

    The structure of its state depends on `settings.name` alone, so that a run can go on with
    another clipping, weight decay or schedule.
    """
    scaling = {'b1': settings.b1, 'b2': settings.b2}
    if settings.name != 'lion':
        scaling['eps'] = settings.eps
    return optax.chain(
        record_gradient_norm(),
        optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm else optax.identity(),
        SCALINGS[settings.name](**scaling),
        optax.add_decayed_weights(
            settings.weight_decay,
            mask=lambda params: jax.tree.map(lambda p: p.ndim >= 2, params),
        ),
        optax.scale_by_trust_ratio() if settings.name == 'lamb' else optax.identity(),
        optax.scale_by_learning_rate(schedule),
    )


