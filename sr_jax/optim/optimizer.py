"""From settings to an optax optimiser, and the accumulated, guarded gradient step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float, PyTree

from sr_jax.config.binding import nearest
from sr_jax.config.settings import OptimizerSettings
from sr_jax.errors import InputError
from sr_jax.layers.repeated import count_stacked
from sr_jax.optim.soap import scale_by_soap

MUON_SIZE = 0.2  # root mean square of Muon's updates, about that of Adam's
TRUST = 1e-3  # LARS' trust coefficient (You et al. 2017, arXiv:1708.03888)


def _are_kernels(params: PyTree) -> PyTree:
    """Which arrays are neither biases nor scales."""
    return jax.tree.map_with_path(lambda path, p: p.ndim - count_stacked(path) >= 2, params)


def _adam(settings: OptimizerSettings) -> optax.GradientTransformation:
    return optax.scale_by_adam(settings.b1, settings.b2, settings.eps)


def _adan(settings: OptimizerSettings) -> optax.GradientTransformation:
    return optax.scale_by_adan(settings.b1, settings.b2, settings.b3, settings.eps)


def _lion(settings: OptimizerSettings) -> optax.GradientTransformation:
    return optax.scale_by_lion(settings.b1, settings.b2)


def _muon(settings: OptimizerSettings) -> optax.GradientTransformation:
    """Muon for kernels as matrices of inputs and outputs, those of switched ones each by itself."""

    def as_matrix(x: Array) -> optax.contrib.MuonDimensionNumbers | None:
        if x.ndim < 2:
            return None
        inputs = tuple(range(max(x.ndim - 4, 0), x.ndim - 1))
        return optax.contrib.MuonDimensionNumbers(inputs, x.ndim - 1)

    descent = optax.contrib.muon(
        1.0,
        beta=settings.b1,
        eps=settings.eps,
        adam_b1=settings.b1,
        adam_b2=settings.b2,
        consistent_rms=MUON_SIZE,
        muon_weight_dimension_numbers=lambda params: jax.tree.map(as_matrix, params),
    )
    return optax.chain(descent, optax.scale(-1.0))


def _sgd(settings: OptimizerSettings) -> optax.GradientTransformation:
    return optax.trace(settings.b1, settings.nesterov)


def _lars(settings: OptimizerSettings) -> optax.GradientTransformation:
    trust = optax.scale_by_trust_ratio(trust_coefficient=TRUST, eps=settings.eps)
    return optax.chain(optax.masked(trust, _are_kernels), _sgd(settings))


def _soap(settings: OptimizerSettings) -> optax.GradientTransformation:
    return scale_by_soap(
        settings.b1,
        settings.b2,
        settings.shampoo_beta,
        settings.eps,
        settings.precondition_frequency,
        settings.max_precondition_dim,
    )


def _adam_without_momentum(settings: OptimizerSettings) -> optax.GradientTransformation:
    return optax.scale_by_adam(0.0, settings.b2, settings.eps)


SCHEDULE_FREE = 'schedule_free'
SCALINGS: dict[str, Callable[[OptimizerSettings], optax.GradientTransformation]] = {
    'adam': _adam,
    'adan': _adan,
    'lamb': _adam,
    'lars': _lars,
    'lion': _lion,
    'muon': _muon,
    'sgd': _sgd,
    'soap': _soap,
    SCHEDULE_FREE: _adam_without_momentum,
}
# Those that update each number by itself, so that blocks may be stacked to one array.
ELEMENTWISE = ('adam', 'adan', 'lion', 'sgd', SCHEDULE_FREE)
SCHEDULES = ('constant', 'cosine', 'linear', 'multistep', 'polynomial')
POWER = 0.9  # of the polynomial schedule (Liu, Rabinovich, Berg 2015, arXiv:1506.04579)


def check_names(settings: OptimizerSettings, where: str = 'config.optimizer') -> None:
    """Raises InputError for an optimizer or a schedule that is not known; names the nearest, and
    `where`, the settings' section."""
    for key, value, valid in (
        ('name', settings.name, tuple(SCALINGS)),
        ('schedule', settings.schedule, SCHEDULES),
    ):
        if value not in valid:
            raise InputError(f'{where}.{key}={value!r}: {nearest(value, valid)}')


def make_schedule(
    settings: OptimizerSettings, steps: int, where: str = 'config.optimizer'
) -> optax.Schedule:
    """Returns the learning rate as a function of the update's number, for a run of `steps`; `where`
    names the settings' section in messages.

    Raises:
      InputError: an optimizer or a schedule that is not known.
    """
    check_names(settings, where)
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


def record_gradient_norm() -> optax.GradientTransformationExtraArgs:
    """Leaves the gradient as it is and keeps its global norm in the state, for the log.

    An update that has it computed already says so by `gradient_norm=`.
    """

    def update(
        grads: PyTree,
        state: GradientNorm,
        params: PyTree | None = None,
        *,
        gradient_norm: Array | None = None,
        **others: Any,
    ) -> tuple[PyTree, GradientNorm]:
        del state, params, others
        norm = optax.tree.norm(grads) if gradient_norm is None else gradient_norm
        return grads, GradientNorm(norm)

    def init(params: PyTree) -> GradientNorm:
        del params
        return GradientNorm(jnp.zeros((), jnp.float32))

    return optax.GradientTransformationExtraArgs(init, update)


def make_optimizer(
    settings: OptimizerSettings, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """Returns the optimiser of the settings, following the schedule of `make_schedule`.

    The structure of its state depends on `settings.name` alone, and that of soap's on
    `max_precondition_dim`, so that a run can resume with another clipping, decay or schedule.

    Raises:
      InputError: an optimizer or a schedule that is not known.
    """
    check_names(settings)
    decay = optax.add_decayed_weights(settings.weight_decay, mask=_are_kernels)
    scaling = SCALINGS[settings.name](settings)
    coupled = settings.name in ('sgd', 'lars')  # their momentum is also that of the decay
    parts = [
        *((decay, scaling) if coupled else (scaling, decay)),
        optax.scale_by_trust_ratio() if settings.name == 'lamb' else optax.identity(),
        optax.scale_by_learning_rate(schedule),
    ]
    if settings.name == SCHEDULE_FREE:
        parts = [optax.contrib.schedule_free(optax.chain(*parts), schedule, settings.b1)]
    return optax.chain(
        record_gradient_norm(),
        optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm else optax.identity(),
        *parts,
    )


def averages(settings: OptimizerSettings) -> bool:
    """Whether predictions use other parameters than those that are trained: an average of them."""
    return settings.ema_decay > 0 or settings.name == SCHEDULE_FREE


def schedule_free_average(opt_state: PyTree, params: PyTree) -> PyTree:
    """The parameters that a schedule-free optimizer's predictions use."""

    def is_free(state: object) -> bool:
        return isinstance(state, optax.contrib.ScheduleFreeState)

    (state,) = filter(is_free, jax.tree.leaves(opt_state, is_leaf=is_free))
    return optax.contrib.schedule_free_eval_params(state, params)


