"""One update of one network: what all training steps have in common.

A task says what it minimises, as an `Objective`; how often, how fast and in which precision comes
from the config, as `Training`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array

from sr_jax.config.binding import Section, bind, check_keys
from sr_jax.config.settings import OptimizerSettings, TrainSettings
from sr_jax.layers import switching
from sr_jax.layers.repeated import Loops
from sr_jax.models.protocols import Looping
from sr_jax.optim.optimizer import (
    ELEMENTWISE,
    SCHEDULE_FREE,
    averages,
    make_optimizer,
    make_schedule,
    schedule_free_average,
)
from sr_jax.optim.update import (
    Gradients,
    accumulated_update,
    ema,
    select,
    split_microbatches,
    warm_decay,
)
from sr_jax.tasks.shared.switched import selector_metrics
from sr_jax.tasks.task import Batch, Metrics, TrainState, check_dtype

# The sections that every config has.
SECTIONS = (
    *('task', 'seed', 'dtype', 'model', 'loss', 'optimizer', 'train', 'data', 'evaluation'),
    *('checkpoint', 'log'),
)


def check_sections(config: Section, *own: str, optional: tuple[str, ...] = ()) -> None:
    """Raises InputError unless a config has the sections of every task and a task's own ones."""
    check_keys(config, (*SECTIONS, *own), optional, 'config')


class Training(NamedTuple):
    """How a network is updated.

    Attributes:
      settings: of its optimiser.
      schedule: its learning rate by the step of the run.
      accumulation: microbatches of an update.
      dtype: `config.dtype`.
      remat: whether activations are recomputed.
    """

    settings: OptimizerSettings
    schedule: optax.Schedule
    accumulation: int
    dtype: str
    remat: bool

    def optimizer(self, step: Array) -> optax.GradientTransformation:
        """Returns the optimiser at the rate of a step of the run."""
        return make_optimizer(self.settings, lambda count: self.schedule(step))

    def loops(self, model: Any) -> Loops:
        """Returns the blocks of a network that may be trained as one: see `Task.loops`."""
        stackable = isinstance(model, Looping) and self.settings.name in ELEMENTWISE
        return model.loops if stackable else {}

    def start(self, params: Any, variables: dict[str, Any]) -> TrainState:
        """Returns the state of a network that begins with these arrays."""
        step = jnp.zeros((), jnp.int32)
        return TrainState(
            step=step,
            params=params,
            variables=variables,
            opt_state=self.optimizer(step).init(params),
            ema_params=jax.tree.map(jnp.copy, params) if averages(self.settings) else None,
            loss_scale=DynamicScale() if self.dtype == 'float16' else None,
        )


def read_training(config: Section, optimizer: str = 'optimizer') -> Training:
    """Returns how a network of a config is updated.

    Args:
      config: the whole config.
      optimizer: its section of the network's optimiser.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type.
    """
    check_dtype(config['dtype'])
    train = bind(TrainSettings, config['train'], 'config.train')
    where = f'config.{optimizer}'
    settings = bind(OptimizerSettings, config[optimizer], where)
    schedule = make_schedule(settings, train.steps, where)
    return Training(settings, schedule, train.accumulation, config['dtype'], train.remat)


def _unchanged(params: Any, variables: Any, statistics: Any) -> dict[str, Any]:
    return switching.update(variables, statistics)


def report_selectors(statistics: Any, state: TrainState) -> Metrics:
    """How the selectors of a network's switched convolutions used their kernels."""
    return selector_metrics(statistics[switching.SELECTORS], state.variables)


class Objective(NamedTuple):
    """What a network minimises, and what else changes with it. The defaults are those of a network
    that may have switched convolutions, whose statistics are `switching.collect_statistics`.

    Attributes:
      loss: (params, state, microbatch, key) -> (scalar, (terms, statistics, outputs)): the terms by
        name for the log, statistics of the microbatch, and something for each of its examples.
      merge: (statistics, statistics) -> those of both together; zeros are its neutral element.
      apply: (params, variables, statistics of the whole batch) -> mutable collections that change.
      first: (state, microbatch, key) -> parameters after their data-dependent initialization, which
        comes before the first update of a run; None where there is none.
      report: (statistics of the whole batch, state after the update) -> further metrics.
    """

    loss: Callable[[Any, TrainState, Batch, Array], tuple[Array, tuple[Any, Any, Any]]]
    merge: Callable[[Any, Any], Any] = switching.merge
    apply: Callable[[Any, Any, Any], dict[str, Any]] = _unchanged
    first: Callable[[TrainState, Batch, Array], Any] | None = None
    report: Callable[[Any, TrainState], Metrics] = report_selectors


def update(
    objective: Objective, training: Training, state: TrainState, batch: Batch, key: Array
) -> tuple[TrainState, Gradients]:
    """One update of a network from a whole effective batch; an update that is not finite is not
    applied.

    Returns:
      The state, whose `step` is the old one, and the gradients.
    """
    started = _start_with_data(objective, training, state, batch, key)
    params, opt_state, loss_scale, gradients = accumulated_update(
        lambda params, microbatch, key: objective.loss(params, state, microbatch, key),
        started.params,
        started.opt_state,
        started.loss_scale,
        batch,
        key,
        optimizer=training.optimizer(state.step),
        accumulation=training.accumulation,
        merge=objective.merge,
    )
    changed = objective.apply(params, state.variables, gradients.statistics)
    applied = gradients.applied
    changed = select(applied, changed, {name: state.variables[name] for name in changed})
    new = state.replace(
        params=params,
        variables={**state.variables, **changed},
        opt_state=opt_state,
        ema_params=_average(training.settings, started, params, opt_state, applied),
        loss_scale=loss_scale,
    )
    return new, gradients


def _average(
    settings: OptimizerSettings, old: TrainState, params: Any, opt_state: Any, applied: Array
) -> Any:
    """The parameters that predictions use after an update; None: the trained ones."""
    if settings.name == SCHEDULE_FREE:
        return schedule_free_average(opt_state, params)
    decay = warm_decay(settings.ema_decay, settings.ema_warmup, old.step)
    return ema(old.ema_params, params, decay, applied)


def _start_with_data(
    objective: Objective, training: Training, state: TrainState, batch: Batch, key: Array
) -> TrainState:
    """The state after the data-dependent initialization, if it is its time."""
    first = objective.first
    if first is None:
        return state
    microbatch = jax.tree.map(lambda x: x[0], split_microbatches(batch, training.accumulation))

    def start() -> tuple[Any, Any]:
        params = first(state, microbatch, key)
        return params, None if state.ema_params is None else params

    params, average = jax.lax.cond(
        state.step == 0, start, lambda: (state.params, state.ema_params)
    )
    return state.replace(params=params, ema_params=average)


def make_step(
    objective: Objective, training: Training
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]:
    """Returns `Task.train_step` of a task that trains one network."""

    def train_step(state: TrainState, batch: Batch, rng: Array) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(rng, state.step)
        new, gradients = update(objective, training, state, batch, key)
        metrics = step_metrics(objective, training, gradients, new)
        return new.replace(step=state.step + 1), metrics

    return train_step


def step_metrics(
    objective: Objective, training: Training, gradients: Gradients, state: TrainState
) -> Metrics:
    """Returns what is reported of an update: see `Task.train_step`.

    Args:
      objective: of the network.
      training: of the network.
      gradients: of the update.
      state: after it, with the old step.
    """
    return {
        'loss': gradients.loss,
        **gradients.terms,
        **optimizer_metrics(training, state),
        'finite_gradients': gradients.finite,
        **objective.report(gradients.statistics, state),
    }


def optimizer_metrics(training: Training, state: TrainState, where: str = 'optimizer') -> Metrics:
    """Returns the scalars of an optimiser after an update, by names that begin with `where`."""
    metrics = {
        f'{where}/gradient_norm': optax.tree.get(state.opt_state, 'gradient_norm'),
        f'{where}/learning_rate': jnp.asarray(training.schedule(state.step)),
    }
    if state.loss_scale is not None:
        metrics[f'{where}/loss_scale'] = state.loss_scale.scale
    return metrics
