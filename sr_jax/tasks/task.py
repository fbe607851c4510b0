"""What every task is: three pure functions, the state that they pass on, and its settings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError, TrainingError
from sr_jax.layers import switching
from sr_jax.optim.update import Gradients
from sr_jax.tasks.shared.switched import selector_metrics

Batch = dict[str, Float[Array, '...']]
Metrics = dict[str, Array]

SECTIONS = (
    'task',
    'seed',
    'dtype',
    'model',
    'loss',
    'optimizer',
    'train',
    'data',
    'evaluation',
    'checkpoint',
    'log',
)
FROZEN = 'frozen'
NOT_FINITE = 'not_finite/'  # begins a metric that says which layers of a part were not
DTYPES = ('float32', 'bfloat16', 'float16')


def check_dtype(dtype: str) -> None:
    """Raises InputError unless `config.dtype` is one of DTYPES."""
    if dtype not in DTYPES:
        raise InputError(f'config.dtype={dtype!r}: {nearest(str(dtype), DTYPES)}')


class TrainState(flax.struct.PyTreeNode):
    """Everything that a training step changes.

    Attributes:
      step: updates done so far, int32 scalar.
      params: the trained parameters.
      variables: the mutable collections, such as {'codebook': ...}; in training also FROZEN, what
        `Task.frozen` gives, if it does.
      opt_state: the optimiser's.
      ema_params: moving average of the parameters, or None.
      loss_scale: for float16, or None.
    """

    step: Any  # the leaves are arrays, but JAX also puts shapes and shardings in their places
    params: Any
    variables: Any
    opt_state: Any
    ema_params: Any = None
    loss_scale: DynamicScale | None = None

    def inference_variables(self) -> dict[str, Any]:
        """Returns what `Task.predict` takes: the averaged parameters if there are any."""
        params = self.params if self.ema_params is None else self.ema_params
        return {'params': params, **self.variables}

    def starting_with(self, variables: Mapping[str, Any]) -> Self:
        """Returns the state with the `inference_variables` of another run in their places."""
        collections = dict(variables)
        params = collections.pop('params')
        average = None if self.ema_params is None else jax.tree.map(jnp.copy, params)
        return self.replace(params=params, variables=collections, ema_params=average)


def _nothing() -> None:
    """What most tasks keep frozen."""


class Task(NamedTuple):
    """A task, as an optax transformation is: a tuple of pure functions.

    Attributes:
      init: (rng, batch) -> TrainState.
      train_step: (state, batch, rng) -> (state, metrics). One update of the parameters from the
        whole effective batch; `rng` is the run's key, the same in every step. `metrics` are
        scalars: 'loss', its terms, 'gradient_norm', 'learning_rate', and others of the task; and
        'finite_gradients', a flag for each parameter array in the order of `jax.tree.leaves`;
        MIN_SHARE + its path for each switched convolution; and there may be NOT_FINITE + the name
        of a part, an integer for each of its layers that is 0 where its output was finite. An
        update that is not finite is not taken.
      predict: (variables, batch) -> outputs; outputs['image'] is the image, float32
        [N, H, W, 3] in [0, 1], to be compared with batch['hq'].
      frozen: () -> what training needs, prediction does not, and no step changes, such as the
        weights of a feature network; or None. It lies in `TrainState.variables[FROZEN]` while a run
        trains; checkpoints do not hold it.
    """

    init: Callable[[Array, Batch], TrainState]
    train_step: Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]
    predict: Callable[[dict[str, Any], Batch], dict[str, Any]]
    frozen: Callable[[], Any] = _nothing


def step_metrics(gradients: Gradients, state: TrainState, learning_rate: Array | float) -> Metrics:
    """Returns the scalars that every task reports of a step: see `Task.train_step`.

    Args:
      gradients: of the step; its statistics hold those of `switching.collect_statistics`.
      state: after the step.
      learning_rate: of the step.
    """
    metrics = {
        'loss': gradients.loss,
        **gradients.terms,
        'gradient_norm': optax.tree.get(state.opt_state, 'gradient_norm'),
        'learning_rate': jnp.asarray(learning_rate),
        'finite_gradients': gradients.finite,
    }
    if state.loss_scale is not None:
        metrics['loss_scale'] = state.loss_scale.scale
    chosen = gradients.statistics[switching.SELECTORS]
    return metrics | selector_metrics(chosen, state.variables)


def check_finite(step: int, metrics: Metrics, names: Sequence[str]) -> None:
    """Raises TrainingError when the loss or a gradient of a step is not finite.

    With float16 (metrics['loss_scale'] is there) an infinite gradient only lowers the loss scale,
    until that is below 1.

    Args:
      step: its number, for the message.
      metrics: of `Task.train_step`.
      names: of the parameters, in the order of `jax.tree.leaves`.
    """
    values = jax.device_get(metrics)
    finite = values['finite_gradients']
    if np.isfinite(values['loss']) and (finite.all() or values.get('loss_scale', 0.0) >= 1.0):
        return
    terms = [k for k, v in values.items() if v.ndim == 0 and k != 'loss' and not np.isfinite(v)]
    what = f'{terms[0]} is {values[terms[0]]}' if terms else 'a gradient is not finite'
    faults = (
        f'layer {np.flatnonzero(v)[0]} of {k.removeprefix(NOT_FINITE)}'
        for k, v in values.items()
        if k.startswith(NOT_FINITE) and v.any()
    )
    if fault := next(faults, None):
        what += f'; the first output that is not finite is of {fault}'
    bad = [name for name, good in zip(names, finite, strict=True) if not good]
    where = f'; first parameter whose gradient is not finite: {bad[0]}' if bad else ''
    raise TrainingError(
        f'step {step}: {what}, loss {values["loss"]}{where}. '
        'The update was not taken, and the checkpoints before it are kept. Try a lower '
        'config.optimizer.learning_rate, config.optimizer.clip_norm or another config.dtype'
    )
