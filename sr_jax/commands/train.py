"""Trains the network of a config: the loop from data to checkpoints."""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
from sr_jax.errors import InputError, TrainingError
from sr_jax.metrics.protocol import parse
from sr_jax.progress import Progress, describe
from sr_jax.tasks.task import Task, TrainSettings

# A run can go on with other settings, except for those that its saved arrays depend on.
FIXED = (
    'config.task:',
    'config.dtype:',
    'config.model.',
    'config.optimizer.name:',
    'config.optimizer.ema_decay:',
)


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
        run = Run(
            config, settings, workdir, mesh, task, predict, iterator, checkpoints, progress
        )
        tree, step = _restore_or_init(run)
        (workdir / 'config.json').write_text(config_lib.to_json(config) + '\n', encoding='utf-8')
        stop = stack.enter_context(_stop_signals())
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


def _restore_or_init(run: Run) -> tuple[PyTree, int]:
    """Returns the arrays and the step to go on from, and sets the data iterator there."""

    def abstract(saved: ml_collections.ConfigDict) -> PyTree:
        _check_same_network(run, saved)
        return trained.abstract_state(run.config, run.task, run.mesh)

    report = run.progress.message
    restored = run.checkpoints.restore_newest(abstract, report, set_aside=True)
    if restored is not None:
        run.iterator.set_state(restored.data)
        report(f'going on from {restored.folder}')
        return restored.tree, restored.step
    size = run.settings.data.crop_size
    batch = {'hq': jnp.zeros((1, size, size, 3))}
    init = jax.jit(
        lambda key: trained.initial(run.task, key, batch),
        out_shardings=sharding.replicated(run.mesh),
    )
    tree = init(jax.random.key(run.config.seed))
    count = sum(x.size for x in jax.tree.leaves(tree['state'].params))
    report(f'a new run in {run.workdir}: {count:,} parameters on {run.mesh.size} device(s)')
    return tree, 0


def _check_same_network(run: Run, saved: ml_collections.ConfigDict) -> None:
    changed = config_lib.differences(saved, run.config)
    fatal = [line for line in changed if line.startswith(FIXED)]
    if fatal:
        raise InputError(
            f'the checkpoints in {run.checkpoints.folder} are of another network (saved -> '
            'asked for):\n  ' + '\n  '.join(fatal) + '\nTake another --workdir, or the saved values'
        )
    for line in changed:
        run.progress.message(f'differs from the saved run: {line}')


class _Stop:
    """Which signal asked the run to stop, if any."""

    signal: int | None = None


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Within it, SIGTERM and SIGINT are noted instead of ending the process at once.

    A second one ends it as usual.
    """
    stop = _Stop()
    before = {}

    def note(number, frame):
        stop.signal = number
        restore()

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()


def _loop(run: Run, tree: PyTree, start: int, stop: _Stop) -> Result:
    """Steps until the last or a signal; metrics are looked at one step late, to keep devices busy."""
    advance = sharding.jit_step(run.task.train_step, run.mesh)
    paths = jax.tree.leaves_with_path(tree['state'].params)
    names = [jax.tree_util.keystr(path, simple=True, separator='/') for path, _ in paths]
    last = run.settings.train.steps
    step, pending, validation = start, None, {}
    while step < last and stop.signal is None:
        began = time.perf_counter()
        batch = sharding.put_batch(next(run.iterator), run.mesh)
        run.progress.waited(time.perf_counter() - began)
        tree, metrics = advance(tree, batch)
        if pending is not None:
            _check_finite(step, pending, names)
        step, pending = step + 1, metrics
        if step == start + 1:  # compiled: the clock starts here
            jax.block_until_ready(metrics)
            run.progress.restart_clock(step)
        if _due(run.settings, step):
            _check_finite(step, pending, names)
            validation = _reports(run, tree, step, pending)
    if pending is not None:
        _check_finite(step, pending, names)
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


def _check_finite(step: int, metrics: dict[str, jax.Array], names: list[str]) -> None:
    """Raises TrainingError when the loss or a gradient of a step is not finite.

    With float16 an infinite gradient only lowers the loss scale, until that is below 1.
    """
    values = jax.device_get(metrics)
    finite = values['finite_gradients']
    loss_is_finite = np.isfinite(values['loss'])
    if loss_is_finite and (finite.all() or values.get('loss_scale', 0.0) >= 1.0):
        return
    terms = [k for k, v in values.items() if v.ndim == 0 and k != 'loss' and not np.isfinite(v)]
    first = terms[0] if terms else 'the gradient'
    bad = [name for name, good in zip(names, finite, strict=True) if not good]
    where = f'; first parameter whose gradient is not finite: {bad[0]}' if bad else ''
    raise TrainingError(
        f'step {step}: {first} is {values.get(first, "not finite")}, loss {values["loss"]}{where}. '
        'The update was not taken, and the checkpoints before it are kept. Try a lower '
        'config.optimizer.learning_rate, config.optimizer.clip_norm or another config.dtype'
    )


def _evaluate(run: Run, tree: PyTree, step: int) -> dict[str, float]:
    settings = run.settings
    batches = validation_batches(settings.data, settings.evaluation.batch_size, run.progress.message)
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
        outputs = run.predict(tree['state'].inference_variables(), sharding.put_batch(batch, run.mesh))
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
