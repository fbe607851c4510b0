"""Trains the network of a config: the loop from data to checkpoints."""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from sr_jax import checkpoint, image_io, memory, sharding, tasks, trained
from sr_jax import config as config_lib
from sr_jax.commands.evaluate import EvaluationSettings, evaluate_batches
from sr_jax.data.pipeline import TrainIterator, train_iterator, validation_batches
from sr_jax.data.settings import DataSettings
from sr_jax.errors import InputError
from sr_jax.metrics.protocol import parse
from sr_jax.progress import Progress, describe
from sr_jax.stopping import Stop, stop_signals
from sr_jax.tasks.task import Task, TrainSettings, check_finite


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """The section `config.log`.

    Attributes:
      every: updates between two lines.
      samples_every: updates between two grids of sample pictures.
      samples: pictures in a grid; 0 = no grids.
    """

    every: int
    samples_every: int
    samples: int

    def __post_init__(self):
        for key, least in (('every', 1), ('samples_every', 1), ('samples', 0)):
            if getattr(self, key) < least:
                raise InputError(f'config.log.{key} must be at least {least}')


class Settings(NamedTuple):
    """The sections of a config that the trainer itself uses."""

    train: TrainSettings
    data: DataSettings
    evaluation: EvaluationSettings
    checkpoint: checkpoint.CheckpointSettings
    log: LogSettings


class Result(NamedTuple):
    """How a run ended.

    Attributes:
      step: updates done.
      metrics: of the validation pictures at the end; empty when it was stopped before.
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
    predict: Callable
    iterator: TrainIterator
    checkpoints: checkpoint.Checkpoints
    progress: Progress


def read_settings(config: ml_collections.ConfigDict) -> Settings:
    """Returns the trainer's settings.

    Raises:
      InputError: a section or key that is missing, unknown or of the wrong type.
    """
    types = Settings.__annotations__
    config_lib.check_keys(config, types, config, 'config')
    return Settings(
        **{key: config_lib.bind(kind, config[key], f'config.{key}') for key, kind in types.items()}
    )


def train(
    config: ml_collections.ConfigDict, workdir: str | Path, log_format: str = 'text'
) -> Result:
    """Trains until `config.train.steps`, going on from the newest checkpoint in `workdir`.

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
    settings = read_settings(config)
    tasks.make(config)  # so that a wrong config leaves nothing behind
    workdir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        progress = Progress(workdir, settings.train.steps, log_format)
        stack.callback(progress.close)
        mesh = sharding.make_mesh()
        config = resolve(config, mesh, progress.message)
        settings = read_settings(config)
        task = tasks.make(config)
        batch_size = settings.train.batch_size * settings.train.accumulation
        iterator = train_iterator(settings.data, batch_size, config.seed, progress.message)
        stack.callback(iterator.close)
        checkpoints = checkpoint.Checkpoints(workdir, settings.checkpoint)
        stack.callback(checkpoints.close)
        predict = sharding.jit_predict(task.predict, mesh)
        run = Run(config, settings, workdir, mesh, task, predict, iterator, checkpoints, progress)
        tree, step, data = trained.resume_or_init(checkpoints, config, task, mesh, progress.message)
        if data is not None:
            iterator.set_state(data)
        (workdir / 'config.json').write_text(config_lib.to_json(config) + '\n', encoding='utf-8')
        stop = stack.enter_context(stop_signals())
        progress.begin(step)
        return _loop(run, tree, step, stop)


def resolve(
    config: ml_collections.ConfigDict, mesh: Mesh, report: Callable[[str], None]
) -> ml_collections.ConfigDict:
    """Returns the config with the batch split as the memory allows, and reports how.

    Raises:
      InputError: the batch does not split over the devices, or does not fit into the memory.
    """
    config = config.copy_and_resolve_references()
    train = config.train
    if train.effective_batch_size:
        plan = memory.choose(
            train.effective_batch_size,
            mesh.size,
            train.memory_limit or memory.device_memory(),
            lambda *candidate: _step_bytes(config, mesh, *candidate),
            report,
        )
        train.update(batch_size=plan.batch_size, accumulation=plan.accumulation, remat=plan.remat)
    sharding.check_batch_size(train.batch_size, mesh, 'config.train.batch_size')
    sharding.check_batch_size(config.evaluation.batch_size, mesh, 'config.evaluation.batch_size')
    return config.lock()


def _step_bytes(config, mesh, batch_size: int, accumulation: int, remat: bool) -> int:
    """Returns the memory of one device that the compiled step of a candidate takes."""
    config = config.copy_and_resolve_references()
    config.train.update(batch_size=batch_size, accumulation=accumulation, remat=remat)
    task = tasks.make(config)
    tree = trained.abstract_state(config, task, mesh)
    size = config.data.crop_size
    pictures = (batch_size * accumulation, size, size, 3)
    batch = {'hq': jax.ShapeDtypeStruct(pictures, jnp.float32)}
    step = sharding.jit_step(task.train_step, mesh)
    return memory.compiled_bytes(step.lower(tree, batch).compile())


def _loop(run: Run, tree: PyTree, start: int, stop: Stop) -> Result:
    """Steps until the last or a signal; looks at metrics one step late, to keep devices busy."""
    advance = sharding.jit_step(run.task.train_step, run.mesh)
    paths = jax.tree.leaves_with_path(tree['state'].params)
    names = [jax.tree_util.keystr(path, simple=True, separator='/') for path, _ in paths]
    last = run.settings.train.steps
    step, pending, validation = start, None, {}
    while step < last and stop.signal is None:
        began = time.perf_counter()
        batch = sharding.put_batch(next(run.iterator), run.mesh)
        if pending is None or pending['loss'].is_ready():  # the devices had run out of work
            run.progress.waited(time.perf_counter() - began)
        tree, metrics = advance(tree, batch)
        if pending is not None:
            check_finite(step, pending, names)
        step, pending = step + 1, metrics
        if step == start + 1:  # compiled: the clock starts here
            jax.block_until_ready(metrics)
            run.progress.restart_clock(step)
        if _due(run.settings, step):
            check_finite(step, pending, names)
            validation = _reports(run, tree, step, pending)
    if pending is not None:
        check_finite(step, pending, names)
    if start >= last:
        run.progress.message(f'all {last} steps are done; raise config.train.steps to go on')
        validation = _evaluate(run, tree, step)
    if stop.signal is not None:
        run.progress.message(f'{signal.Signals(stop.signal).name}: saving after step {step}')
        _save(run, tree, step, {})
    run.checkpoints.wait()
    result = Result(step, {} if step < last else validation, stop.signal)
    run.progress.summary(_summary(run, result))
    return result


def _due(settings: Settings, step: int) -> bool:
    """Returns whether anything is reported, evaluated or saved after a step."""
    every = (
        settings.log.every,
        settings.log.samples_every,
        settings.evaluation.every,
        settings.checkpoint.every,
    )
    return step in (1, settings.train.steps) or any(step % n == 0 for n in every)


def _reports(run: Run, tree: PyTree, step: int, metrics: dict[str, jax.Array]) -> dict[str, float]:
    """Logs, evaluates, shows pictures and saves, each when it is time; returns the evaluation."""
    settings, last = run.settings, step == run.settings.train.steps
    if step == 1 or last or step % settings.log.every == 0:
        scalars = {k: float(v) for k, v in jax.device_get(metrics).items() if v.ndim == 0}
        run.progress.steps_done(step, scalars)
    validation = {}
    if last or step % settings.evaluation.every == 0:
        validation = _evaluate(run, tree, step)
    if settings.log.samples and (last or step % settings.log.samples_every == 0):
        run.progress.pictures(step, _samples(run, tree))
    if last or step % settings.checkpoint.every == 0:
        _save(run, tree, step, validation)
    run.progress.restart_clock(step)
    return validation


def _evaluate(run: Run, tree: PyTree, step: int) -> dict[str, float]:
    settings = run.settings
    batches = validation_batches(
        settings.data, settings.evaluation.batch_size, run.progress.message
    )
    variables = tree['state'].inference_variables()
    protocol = parse(settings.evaluation.protocol)
    metrics = evaluate_batches(run.predict, variables, batches, protocol, run.mesh)
    run.progress.evaluated(step, metrics)
    return metrics


def _samples(run: Run, tree: PyTree) -> np.ndarray:
    """Returns a grid of validation pictures beside what the network makes of them."""
    settings, count = run.settings, run.settings.log.samples
    size = settings.evaluation.batch_size
    data = dataclasses.replace(settings.data, validation_crops=count)
    batches = validation_batches(data, size, run.progress.message)
    shown = []
    for batch in batches:
        kept = int(batch.pop('mask').sum())
        outputs = run.predict(
            tree['state'].inference_variables(), sharding.put_batch(batch, run.mesh)
        )
        shown.append((batch['hq'][:kept], np.asarray(outputs['image'])[:kept]))
    return image_io.grid([np.concatenate(column) for column in zip(*shown, strict=True)])


def _save(run: Run, tree: PyTree, step: int, validation: dict[str, float]) -> None:
    if step in run.checkpoints.steps():
        return
    run.checkpoints.save(
        step,
        tree,
        config=run.config,
        data=run.iterator.get_state(),
        metrics=validation or None,
    )


def _summary(run: Run, result: Result) -> dict[str, object]:
    """Returns what a person wants to know at the end."""
    lines: dict[str, object] = {'steps': f'{result.step} of {run.settings.train.steps}'}
    if result.metrics:
        lines['validation'] = describe(result.metrics)
    lines['checkpoints'] = run.checkpoints.folder
    if run.iterator.rejected:
        lines['skipped pictures'] = len(run.iterator.rejected)
    if result.stopped_by is not None:
        name = signal.Signals(result.stopped_by).name
        lines['stopped'] = f'by {name}; the same command goes on from here'
    else:
        lines['samples'] = run.workdir / 'samples'
        lines['try'] = f'python -m sr_jax reconstruct {run.workdir} PICTURE --output FOLDER'
    return lines
