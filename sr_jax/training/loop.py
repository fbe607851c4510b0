"""Trains the network of a config: the loop from data to checkpoints."""

import contextlib
import functools
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
from jax.sharding import Mesh
from jaxtyping import PyTree

from sr_jax import tasks
from sr_jax.checkpoints.lock import hold
from sr_jax.checkpoints.manager import FOLDER, Checkpoints
from sr_jax.checkpoints.run import read_switching, resume_or_init
from sr_jax.config.serialization import to_json
from sr_jax.data.pipeline import TrainIterator, train_iterator
from sr_jax.data.validation import validation_batches
from sr_jax.devices import distributed, sharding
from sr_jax.devices.compiling import advise_dtype
from sr_jax.devices.signals import Stop, stop_signals
from sr_jax.errors import InputError, check_utf8
from sr_jax.images.atomic import write
from sr_jax.inference import networks
from sr_jax.tasks.shared.switched import MIN_SHARE, describe_late_norms
from sr_jax.tasks.task import (
    Task,
    check_finite,
    predicting_variables,
    with_frozen,
    without_frozen,
)
from sr_jax.training.progress import Progress, Silent, describe
from sr_jax.training.samples import draw_panels
from sr_jax.training.settings import (
    Settings,
    check_best_metric,
    check_contradictions,
    describe_warmups,
    read_settings,
    resolve,
)
from sr_jax.training.stacking import Stacking
from sr_jax.training.step import jit_predict, jit_step
from sr_jax.training.validation import evaluate_batches, naming_batch_size

DEAD_BELOW = 0.01  # share of a kernel under which the trainer warns


class Result(NamedTuple):
    """How a run ended.

    Attributes:
      step: updates done.
      metrics: of the validation at the end; empty when it was stopped before.
      stopped_by: number of the signal that stopped it, or None.
    """

    step: int
    metrics: dict[str, float]
    stopped_by: int | None


class Run(NamedTuple):
    """What the functions of the loop share; none of it changes but by its own methods."""

    config: ml_collections.ConfigDict
    settings: Settings
    workdir: Path
    mesh: Mesh
    task: Task
    stacking: Stacking
    predict: Callable
    iterator: TrainIterator
    checkpoints: Checkpoints
    progress: Progress
    warned: set[str]


def train(
    config: ml_collections.ConfigDict, workdir: str | Path, log_format: str = 'text'
) -> Result:
    """Trains until `config.train.steps`, resuming from the newest checkpoint in `workdir`.

    SIGTERM and SIGINT (Ctrl-C) end the run after the step at hand, with a checkpoint.

    Args:
      config: see `configs/`; it is not changed.
      workdir: for checkpoints, samples, TensorBoard and `metrics.jsonl`; made if missing.
      log_format: 'text' or 'json'.

    Raises:
      InputError: the config, the data or the checkpoints cannot be used.
      TrainingError: a loss or gradient is not finite.
      OSError: the workdir cannot be written (read-only, disk full).
    """
    workdir = Path(workdir)
    check_utf8(workdir, '--workdir')
    settings = read_settings(config)
    check_best_metric(settings, tasks.make(config))  # a wrong config leaves nothing behind
    check_contradictions(config)
    remedy = 'Start all the processes with the same --config and --config.* flags'
    distributed.check_alike(to_json(config), 'config', remedy)
    folder = workdir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    distributed.check_shared(folder)
    try:
        with contextlib.ExitStack() as stack:
            kind = Progress if distributed.is_first() else Silent
            progress = kind(workdir, settings.train.steps, log_format)
            stack.callback(progress.close)
            stack.enter_context(hold(workdir, progress.message))
            stack.enter_context(jax.enable_x64(False))  # all is float32, whatever the environment
            return _train(config, workdir, progress, stack)
    except (InputError, OSError) as error:
        if workdir.is_dir():
            raise
        raise InputError(
            f'the workdir {workdir} has gone while the run went on: was it moved or removed, or is '
            'its disk no longer there? Bring it back, and the same command resumes; or take another'
        ) from error


def _train(
    config: ml_collections.ConfigDict,
    workdir: Path,
    progress: Progress,
    stack: contextlib.ExitStack,
) -> Result:
    """Makes the parts of a run, which the stack closes again, and trains."""
    mesh = sharding.make_mesh(fsdp=read_settings(config).train.fsdp)
    load = functools.partial(networks.load, mesh=mesh, report=progress.message)
    config = resolve(config, mesh, load, progress.message)
    settings = read_settings(config)
    task = tasks.make(config)
    iterator = _iterator(settings, task, config.seed, mesh, progress)
    stack.callback(iterator.close)
    directions = task.evaluation.higher_is_better
    best = directions[settings.checkpoint.best_metric]
    checkpoints = Checkpoints(workdir, settings.checkpoint, best)
    stack.callback(checkpoints.close)
    predict = jit_predict(task, mesh, config)
    parts = (mesh, task, Stacking.of(task, mesh), predict, iterator, checkpoints, progress)
    run = Run(config, settings, workdir, *parts, warned=set())
    report = progress.message
    tree, step, data = resume_or_init(checkpoints, config, task, mesh, load, report)
    tree = {**tree, 'state': run.stacking.stack(tree['state'])}
    frozen = task.frozen(load, True)
    frozen = jax.device_put(frozen, sharding.layout(frozen, mesh))
    tree = {**tree, 'state': with_frozen(task, tree['state'], frozen)}
    if data is not None:
        place_data(iterator, data, checkpoints.folder / str(step))
    if distributed.is_first():
        write(workdir / 'config.json', (to_json(config) + '\n').encode())
    stop = stack.enter_context(stop_signals(mesh))
    if line := advise_dtype(mesh.devices.flat[0], config.dtype, "config.dtype='bfloat16'"):
        report(line)
    start = read_switching(config).norm_start
    if line := describe_late_norms(tree['state'], start, settings.train.steps - step):
        report(line)
    for line in describe_warmups(config):
        report(line)
    _check_validation(run, tree)
    progress.begin(step)
    return _loop(run, tree, step, stop)


def place_data(iterator: TrainIterator, data: dict[str, Any], folder: Path) -> None:
    """Takes the data to where it was at the checkpoint in a folder.

    Args:
      iterator: of the training batches.
      data: its position, from `TrainIterator.get_state`.
      folder: the checkpoint's, for messages.

    Raises:
      InputError: it cannot be taken there; names the checkpoint.
    """
    try:
        iterator.set_state(data)
    except InputError as error:
        raise InputError(f'{folder}: {error}') from error


def _check_validation(run: Run, tree: PyTree) -> None:
    """Raises InputError now, not after hours, if the first of the validation data is of no use."""
    batch = run.task.check(next(_validation_batches(run, lambda line: None)))
    if 'lq' in batch:  # whose scale the network may not have
        del batch['mask']
        jax.eval_shape(run.predict, _variables(run, tree), sharding.put_rows(batch, run.mesh))


def _iterator(
    settings: Settings, task: Task, seed: int, mesh: Mesh, progress: Progress
) -> TrainIterator:
    """Returns this process's share of the training batches."""
    batch_size = settings.train.batch_size * settings.train.accumulation
    rows = sharding.own_rows(mesh, batch_size)
    fields = task.batch(1)
    iterator = train_iterator(settings.data, batch_size, seed, progress.own_message, rows, fields)
    remedy = 'All the machines must see the same images: share the folder, or copy it anew'
    distributed.check_alike(json.dumps(iterator.get_state()['made_from']), 'data', remedy)
    return iterator


def _loop(run: Run, tree: PyTree, start: int, stop: Stop) -> Result:
    """Steps until the last or a signal; looks at metrics one step late, to keep devices busy."""
    layout = sharding.layout(tree, run.mesh)
    advance = jit_step(run.task, run.mesh, layout, run.config)
    names = run.stacking.names(tree['state'])
    last = run.settings.train.steps
    step, pending, validation = start, None, {}

    def check() -> None:
        if pending is not None:
            check_finite(step, pending, names)

    while (signalled := stop.agree()) is None and step < last:
        began = time.perf_counter()
        batch = _take_batch(run, tree, step, check)
        if pending is None or pending['loss'].is_ready():  # the devices had run out of work
            run.progress.add_wait(time.perf_counter() - began)
        tree, metrics = advance(tree, batch)
        check()
        step, pending = step + 1, metrics
        if step == start + 1:  # compiled: the clock starts here
            jax.block_until_ready(metrics)
            run.progress.restart_clock(step)
        if _is_due(run.settings, step):
            check()
            validation = _report_and_save(run, tree, step, pending)
    check()
    if start >= last:
        run.progress.message(f'all {last} steps are done; raise config.train.steps to train on')
        with naming_batch_size(run.settings):
            validation = _evaluate(run, tree, step)
    if signalled is not None:
        run.progress.message(f'{signal.Signals(signalled).name}: saving after step {step}')
        _save(run, tree, step, {})
    run.checkpoints.wait()
    result = Result(step, {} if step < last else validation, signalled)
    run.progress.summary(_summary(run, result))
    return result


def _take_batch(
    run: Run, tree: PyTree, step: int, check: Callable[[], None]
) -> dict[str, jax.Array]:
    """Returns the next batch on the devices. If there is none, checks and saves the step first."""
    try:
        return sharding.put_batch(run.task.check(next(run.iterator)), run.mesh)
    except InputError:
        check()
        _save_what_there_is(run, tree, step)
        raise


def _is_due(settings: Settings, step: int) -> bool:
    """Returns whether anything is reported, evaluated or saved after a step."""
    every = (
        settings.log.every,
        settings.log.samples_every,
        settings.evaluation.every,
        settings.checkpoint.every,
    )
    return step in (1, settings.train.steps) or any(step % n == 0 for n in every)


def _report_and_save(
    run: Run, tree: PyTree, step: int, metrics: dict[str, jax.Array]
) -> dict[str, float]:
    """Logs, evaluates, shows images and saves, each when it is time; returns the evaluation."""
    settings, last = run.settings, step == run.settings.train.steps
    if step == 1 or last or step % settings.log.every == 0:
        scalars = {k: float(v) for k, v in jax.device_get(metrics).items() if v.ndim == 0}
        run.progress.report_steps(step, scalars)
        _warn_of_dead_kernels(run, step, scalars)
    try:
        with naming_batch_size(settings):
            validation = _evaluate_and_draw(run, tree, step)
    except InputError:
        _save_what_there_is(run, tree, step)
        raise
    if last or step % settings.checkpoint.every == 0:
        _save(run, tree, step, validation)
    run.progress.restart_clock(step)
    return validation


def _evaluate_and_draw(run: Run, tree: PyTree, step: int) -> dict[str, float]:
    settings, last = run.settings, step == run.settings.train.steps
    validation = {}
    if last or step % settings.evaluation.every == 0:
        validation = _evaluate(run, tree, step)
    if settings.log.samples and (last or step % settings.log.samples_every == 0):
        panels = draw_panels(
            *(run.task, settings, run.predict, _variables(run, tree), run.mesh),
            report=run.progress.message,
        )
        for name, sheet in panels.items():
            run.progress.save_panel(step, sheet, name)
    return validation


def _warn_of_dead_kernels(run: Run, step: int, scalars: dict[str, float]) -> None:
    """Says once of each switched convolution that one of its kernels is hardly used any more."""
    for name, share in scalars.items():
        if name.startswith(MIN_SHARE) and share < DEAD_BELOW and name not in run.warned:
            run.warned.add(name)
            run.progress.message(
                f'step {step}: a kernel of {name.removeprefix(MIN_SHARE)} is used for '
                f'{share:.2%} of the pixels only (under {DEAD_BELOW:.0%}): it may be dying'
            )


def _variables(run: Run, tree: PyTree) -> dict[str, Any]:
    """Returns what the task predicts with, whole on every device."""
    return sharding.replicate(predicting_variables(run.task, tree['state']), run.mesh)


def _evaluate(run: Run, tree: PyTree, step: int) -> dict[str, float]:
    metrics = evaluate_batches(
        run.predict,
        _variables(run, tree),
        map(run.task.check, _validation_batches(run, run.progress.message)),
        run.task.evaluation,
        run.mesh,
    )
    run.progress.report_validation(step, metrics)
    return metrics


def _validation_batches(run: Run, report: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    settings = run.settings
    size = settings.evaluation.batch_size
    return validation_batches(settings.data, size, report, run.task.batch(1))


def _save_what_there_is(run: Run, tree: PyTree, step: int) -> None:
    """Saves before images that cannot be used end the run, so that no step is lost.

    Not of several processes: the others, which may see no fault, would not save with this one.
    """
    if step and step not in run.checkpoints.steps() and jax.process_count() == 1:
        run.progress.message(f'saving after step {step}')
        _save(run, tree, step, {})
        run.checkpoints.wait()


def _save(run: Run, tree: PyTree, step: int, validation: dict[str, float]) -> None:
    if step in run.checkpoints.steps():
        return
    run.checkpoints.save(
        step,
        {**tree, 'state': run.stacking.unstack(without_frozen(run.task, tree['state']))},
        config=run.config,
        data=_position(run.iterator),
        metrics=validation or None,
    )


def _position(iterator: TrainIterator) -> dict[str, Any]:
    """Returns where the data is, with the images that any process has passed over."""
    state = iterator.get_state()
    told = distributed.gather(json.dumps(state['rejected']))
    state['rejected'] = {k: v for text in told for k, v in json.loads(text).items()}
    iterator.set_rejected(state['rejected'])
    return state


def _summary(run: Run, result: Result) -> dict[str, object]:
    """Returns what a person wants to know at the end."""
    lines: dict[str, object] = {'steps': f'{result.step} of {run.settings.train.steps}'}
    if result.metrics:
        lines['validation'] = describe(result.metrics)
    lines['checkpoints'] = run.checkpoints.folder
    if run.iterator.rejected:
        lines['skipped images'] = len(run.iterator.rejected)
    if result.stopped_by is not None:
        name = signal.Signals(result.stopped_by).name
        lines['stopped'] = f'by {name}; the same command resumes from here'
    else:
        if (samples := run.workdir / 'samples').exists():
            lines['samples'] = samples
        lines['try'] = f'python -m sr_jax {run.task.usage.format(run=run.workdir)}'
    return lines
