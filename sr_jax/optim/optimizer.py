"""From settings to an optax optimiser, and the accumulated, guarded gradient step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.config.settings import OptimizerSettings
from sr_jax.errors import InputError

SCALINGS: dict[str, Callable[..., optax.GradientTransformation]] = {
    'adam': optax.scale_by_adam,
    'lamb': optax.scale_by_adam,
    'lion': optax.scale_by_lion,
    'sgd': optax.trace,
}
SCHEDULES = ('constant', 'cosine', 'linear', 'multistep', 'polynomial')
POWER = 0.9  # of the polynomial schedule (Liu, Rabinovich, Berg 2015, arXiv:1506.04579)


def check_names(settings: OptimizerSettings) -> None:
    """Raises InputError for an optimizer or a schedule that is not known; names the nearest."""
    for key, value, valid in (
        ('name', settings.name, tuple(SCALINGS)),
        ('schedule', settings.schedule, SCHEDULES),
    ):
        if value not in valid:
            raise InputError(f'config.optimizer.{key}={value!r}: {nearest(value, valid)}')


def make_schedule(settings: OptimizerSettings, steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the update's number, for a run of `steps`.

    Raises:
      InputError: an optimizer or a schedule that is not known.
    """
    check_names(settings)
    rate, warmup = settings.learning_rate, settings.warmup_steps
    rest = max(steps - warmup, 1)
    main: optax.Schedule
    if settings.schedule == 'cosine':
        main = optax.cosine_decay_schedule(rate, rest)
    elif settings.schedule == 'linear':
        main = optax.linear_schedule(rate, 0.0, rest)
    elif settings.schedule == 'polynomial':
        main = optax.polynomial_schedule(rate, 0.0, POWER, rest)
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

    The structure of its state depends on `settings.name` alone, so that a run can resume with
    another clipping, weight decay or schedule.

    Raises:
      InputError: an optimizer or a schedule that is not known.
    """
    check_names(settings)
    decay = optax.add_decayed_weights(
        settings.weight_decay,
        mask=lambda params: jax.tree.map(lambda p: p.ndim >= 2, params),
    )
    scaling = SCALINGS[settings.name](**_scaling_options(settings))
    coupled = settings.name == 'sgd'  # its momentum is also that of the decay
    return optax.chain(
        record_gradient_norm(),
        optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm else optax.identity(),
        *((decay, scaling) if coupled else (scaling, decay)),
        optax.scale_by_trust_ratio() if settings.name == 'lamb' else optax.identity(),
        optax.scale_by_learning_rate(schedule),
    )


def _scaling_options(settings: OptimizerSettings) -> dict[str, Any]:
    """Returns what the scaling of an optimizer takes."""
    if settings.name == 'sgd':
        return {'decay': settings.b1, 'nesterov': settings.nesterov}
    moments = {'b1': settings.b1, 'b2': settings.b2}
    return moments if settings.name == 'lion' else {**moments, 'eps': settings.eps}
