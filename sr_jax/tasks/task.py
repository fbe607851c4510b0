"""What every task is: a tuple of pure functions, and the state that they pass on.

A task is to training what an optax transformation is to optimisation. The loop knows these
contracts and nothing of what a batch or an output holds.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from flax.training.dynamic_scale import DynamicScale
from jaxtyping import Array

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError, TrainingError
from sr_jax.layers.repeated import Loops

Batch: TypeAlias = dict[str, Any]  # arrays, or their ShapeDtypeStructs; the first axis is the batch
Outputs: TypeAlias = dict[str, Any]  # of arrays, each with the batch as its first axis
Variables: TypeAlias = Mapping[str, Any]
Metrics: TypeAlias = dict[str, Array]
Row: TypeAlias = dict[str, Any]  # of numbers, or lists of them, as JSON has them
Totals: TypeAlias = dict[str, Any]
Panels: TypeAlias = dict[str, Sequence[np.ndarray]]

FROZEN = 'frozen'  # the collection of what `Task.frozen` gives
NOT_FINITE = 'not_finite/'  # begins a metric that says which layers of a part were not
DTYPES = ('float32', 'bfloat16', 'float16')


class LoadedNetwork(Protocol):
    """A network and what it has learned, as `sr_jax.inference.networks.load` returns it.

    Attributes:
      model: its name in `sr_jax.models` and its fields, as in a config's section.
      variables: what its `apply` takes.
      source: where it came from, for messages.
      step: updates done, 0 where that is not known.
    """

    @property
    def model(self) -> dict[str, Any]:
        """The network's name and fields."""

    @property
    def variables(self) -> dict[str, Any]:
        """What it has learned."""

    @property
    def source(self) -> str:
        """Where it came from."""

    @property
    def step(self) -> int:
        """Updates done; 0 where that is not known."""


Load: TypeAlias = Callable[[str], LoadedNetwork]  # of a run, a file of weights, a published name


def check_dtype(dtype: str) -> None:
    """Raises InputError unless `config.dtype` is one of DTYPES."""
    if dtype not in DTYPES:
        raise InputError(f'config.dtype={dtype!r}: {nearest(str(dtype), DTYPES)}')


class TrainState(flax.struct.PyTreeNode):
    """Everything of one network that a training step changes.

    Attributes:
      step: updates done so far, int32 scalar.
      params: the trained parameters.
      variables: the mutable collections, such as {'codebook': ...}; while a run trains also FROZEN.
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

    def starting_with(self, variables: Variables) -> 'TrainState':
        """Returns the state with the `inference_variables` of another run in their places."""
        collections = dict(variables)
        params = collections.pop('params')
        average = None if self.ema_params is None else jax.tree.map(jnp.copy, params)
        return self.replace(params=params, variables=collections, ema_params=average)


# Of one network, or of several by their names in `Task.networks`.
State: TypeAlias = TrainState | dict[str, TrainState]


class Evaluation(NamedTuple):
    """How a task is measured: a fold over batches, whose parts add up over processes.

    Attributes:
      measure: (batch, outputs), as NumPy arrays without rows that only fill a batch -> (a row of
        numbers by name for each example, as JSON has them; totals: a tree of dicts of integer
        arrays that add up over batches and processes).
      summarize: (all the rows, the added totals) -> metrics by name. Sums of numbers of rows are to
        be taken by `math.fsum`: then no metric depends on how many processes there are. A name with
        a slash is left out of the line that a person sees.
      higher_is_better: for each metric that `config.checkpoint.best_metric` may name, whether more
        is better; a name stands for all metrics that begin with it and '_' as well.
    """

    measure: Callable[[Batch, Outputs], tuple[list[Row], Totals]]
    summarize: Callable[[list[Row], Totals], dict[str, float]]
    higher_is_better: Mapping[str, bool]


def no_frozen(load: Load, training: bool) -> None:
    """What most tasks keep frozen."""


def nothing_to_complete(config: ml_collections.ConfigDict, load: Load) -> None:
    """What most tasks write into their configs."""


def take_as_it_is(batch: Batch) -> Batch:
    """What most tasks do with a batch of the data before it is used."""
    return batch


class Task(NamedTuple):
    """A task.

    Attributes:
      batch: examples -> the `jax.ShapeDtypeStruct`s of a training batch of so many. Its keys are
        the fields that are taken from the data (`sr_jax.data.fields`).
      init: (key, batch) -> state.
      train_step: (state, batch, key) -> (state, metrics). One update from the whole effective
        batch; `key` is the run's, the same in every step. `metrics` are scalars: 'loss' and its
        terms, and others whose names have a slash and are left out of the line that a person sees,
        such as 'optimizer/gradient_norm'. Besides there is 'finite_gradients', a flag for each
        parameter array in the order of `jax.tree.leaves(parameters(state))`, of stacked ones for
        each block; there may be
        NOT_FINITE + the name of a part, an integer for each of its layers that is 0 where its
        output was finite. An update that is not finite is not applied.
      predict: (variables, batch, key) -> outputs; the loop asks for no key of theirs. The variables
        are the `inference_variables` of the first of `networks`, with FROZEN where there is any.
      evaluation: how the outputs are measured.
      panels: (batch, outputs), as NumPy arrays -> what a person looks at while it trains: by the
        name of a folder, columns of images [n, h, w, 3] in [0, 1]; {} where there is nothing.
      networks: the networks that are trained, by name, and the section of the config that each is
        made from. The first one predicts. Of several, the state is a dict by these names.
      frozen: (load, training) -> networks that it needs and does not train, a dict of arrays, or
        None: with `training` what the training step needs, else what `predict` needs. They are in
        `variables[FROZEN]` of the first network, and in no checkpoint.
      joint: `predict` takes the variables of all the networks, a dict by their names, in place of
        those of the first.
      complete: (config, load) writes into the config of a run, before anything is made of it, what
        depends on networks that it needs and does not train.
      fixed: how the keys begin besides, such as 'config.stage_1.fingerprint', that must not change
        when a run resumes.
      check: a batch as the data gives it, of NumPy arrays -> the same; raises InputError where it
        holds what the networks cannot take, such as a class that they do not know.
      loops: of each network that has equal blocks, those that may be stacked (`stack_loops`):
        `train_step` and `predict` take them so too.
      usage: what to try with a finished run: a verb and its arguments, with '{run}' for its folder.
    """

    batch: Callable[[int], Batch]
    init: Callable[[Array, Batch], State]
    train_step: Callable[[Any, Batch, Array], tuple[Any, Metrics]]
    predict: Callable[[Variables, Batch, Array], Outputs]
    evaluation: Evaluation
    panels: Callable[[Batch, Outputs], Panels]
    networks: Mapping[str, str]
    frozen: Callable[[Load, bool], Any] = no_frozen
    joint: bool = False
    complete: Callable[[ml_collections.ConfigDict, Load], None] = nothing_to_complete
    fixed: tuple[str, ...] = ()
    check: Callable[[Batch], Batch] = take_as_it_is
    loops: Mapping[str, Loops] = MappingProxyType({})
    usage: str = 'evaluate {run}'


def in_float32(task: Task) -> Task:
    """Returns a task whose arrays are float32 where JAX has float64 enabled, too.

    With `JAX_ENABLE_X64` JAX draws random numbers and makes zeros of float64, beside parameters of
    float32: branches and loops of both cannot be traced, and other numbers are drawn.
    """

    def narrowed(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def apply(*inputs: Any) -> Any:
            with jax.enable_x64(False):
                return function(*inputs)

        return apply

    return task._replace(
        batch=narrowed(task.batch),
        init=narrowed(task.init),
        train_step=narrowed(task.train_step),
        predict=narrowed(task.predict),
        frozen=narrowed(task.frozen),
    )


def states_by_network(task: Task, state: State) -> dict[str, TrainState]:
    """Returns the state of each network by its name, the one that predicts first."""
    if isinstance(state, TrainState):
        return {next(iter(task.networks)): state}
    return {name: state[name] for name in task.networks if name in state}


def predicting(task: Task, state: State) -> TrainState:
    """Returns the state of the network that predicts."""
    return next(iter(states_by_network(task, state).values()))


def predicting_variables(task: Task, state: State) -> dict[str, Any]:
    """Returns what `Task.predict` takes."""
    if task.joint:
        states = states_by_network(task, state).items()
        return {name: part.inference_variables() for name, part in states}
    return predicting(task, state).inference_variables()


def replace_predicting(task: Task, state: State, new: TrainState) -> State:
    """Returns the state with another one of the network that predicts."""
    if isinstance(state, TrainState):
        return new
    return {**state, next(iter(task.networks)): new}


def parameters(state: State) -> Any:
    """Returns the trained parameters: of one network, or by the name of each."""
    if isinstance(state, TrainState):
        return state.params
    return {name: part.params for name, part in state.items()}


def with_frozen(task: Task, state: State, frozen: Any) -> State:
    """Returns the state with what training needs besides: see `Task.frozen`."""
    if frozen is None:
        return state
    part = predicting(task, state)
    return replace_predicting(
        task, state, part.replace(variables={**part.variables, FROZEN: frozen})
    )


def without_frozen(task: Task, state: State) -> State:
    """Returns what a checkpoint is to hold of a state."""
    part = predicting(task, state)
    kept = {name: value for name, value in part.variables.items() if name != FROZEN}
    return replace_predicting(task, state, part.replace(variables=kept))


def check_finite(step: int, metrics: Metrics, names: Sequence[str]) -> None:
    """Raises TrainingError when the loss or a gradient of a step is not finite.

    With float16 (a metric that ends in 'loss_scale' is there) an infinite gradient only lowers the
    loss scale, until that is below 1.

    Args:
      step: its number, for the message.
      metrics: of `Task.train_step`.
      names: of the parameters that have a flag each, in their order.
    """
    values = jax.device_get(metrics)
    finite = values['finite_gradients']
    scales = [v for k, v in values.items() if k.endswith('loss_scale')]
    if np.isfinite(values['loss']) and (finite.all() or (scales and min(scales) >= 1.0)):
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
        'The update was not applied, and the checkpoints before it are kept. Try a lower '
        'config.optimizer.learning_rate, config.optimizer.clip_norm or another config.dtype'
    )
