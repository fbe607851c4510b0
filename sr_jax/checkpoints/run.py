"""A run: what it resumes from or begins with, and its trained network from a checkpoint alone.

The config beside a checkpoint rebuilds the task.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from sr_jax import tasks
from sr_jax.checkpoints import start_from
from sr_jax.checkpoints.manager import Checkpoints, find_checkpoints
from sr_jax.checkpoints.start_values import make_start
from sr_jax.config.binding import Section, bind, nearest
from sr_jax.config.defaults import completed
from sr_jax.config.serialization import differences
from sr_jax.config.settings import read_sources
from sr_jax.devices import sharding
from sr_jax.errors import InputError, first_line
from sr_jax.layers.repeated import initial_shapes
from sr_jax.layers.switching import Switching
from sr_jax.tasks.task import (
    Batch,
    Load,
    LoadedNetwork,
    Task,
    parameters,
    predicting_variables,
    states_by_network,
    with_frozen,
)


class LoadedRun(NamedTuple):
    """What `load` returns.

    Attributes:
      config: the resolved config of the run, with the defaults of keys that have come since.
      task: its functions.
      variables: what `task.predict` takes; of another network, what its `apply` takes.
      step: updates done.
    """

    config: ml_collections.ConfigDict
    task: Task
    variables: dict[str, Any]
    step: int


def refuse_to_load(source: str) -> LoadedNetwork:
    """Raises InputError: what `load_run` takes where nobody says how networks are loaded."""
    raise InputError(f'this run predicts with the network {source} beside its own: load it too')


def read_switching(config: ml_collections.ConfigDict) -> Switching:
    """Returns which convolutions of a config's network are switched, and how."""
    return bind(Switching, config.model.get('switching', {}), 'config.model.switching')


def fixed_keys(task: Task) -> tuple[str, ...]:
    """Returns how the keys begin that must not change when a run resumes.

    Those are the keys of a config that its saved arrays depend on.
    """
    keys = ['config.task:', 'config.dtype:']
    for number, (network, section) in enumerate(task.networks.items()):
        optimizer = f'{network}_optimizer' if number else 'optimizer'
        keys += [f'config.{section}:', f'config.{section}.']
        kept = ('name', 'ema_decay', 'max_precondition_dim')
        keys += [f'config.{optimizer}.{key}:' for key in kept]
    return (*keys, *task.fixed)


def abstract_tree(task: Task, mesh: Mesh) -> PyTree:
    """Returns the shapes and shardings of what a checkpoint of a task holds."""
    key, batch = jax.random.key(0), task.batch(1)
    shapes = initial_shapes(lambda key, batch: init_tree(task, key, batch), key, batch)
    return jax.tree.map(
        lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place),
        shapes,
        sharding.layout(shapes, mesh),
    )


def init_tree(task: Task, key: Array, batch: Batch) -> PyTree:
    """Returns what a checkpoint holds, at the start of a run: the train state and its key."""
    init_key, run_key = jax.random.split(key)
    return {'state': task.init(init_key, batch), 'rng': jax.random.key_data(run_key)}


def begin(task: Task, seed: int, mesh: Mesh) -> PyTree:
    """Returns what `init_tree` makes of the key of a seed, laid out on a mesh."""
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), task.batch(1))

    def init(seed: Array) -> PyTree:
        return init_tree(task, jax.random.key(seed), batch)

    return make_start(init, seed, mesh)


def resume_or_init(
    checkpoints: Checkpoints,
    config: ml_collections.ConfigDict,
    task: Task,
    mesh: Mesh,
    load: Load,
    report: Callable[[str], None],
) -> tuple[PyTree, int, dict[str, Any] | None]:
    """Returns the arrays and the step that a run resumes from, and where its data was, if it was.

    Args:
      checkpoints: of the run.
      config: of the run.
      task: of the config.
      mesh: the devices.
      load: loads what `config.train.start_from` names.
      report: is given a line about what was done.

    Raises:
      InputError: the checkpoints are of another network (names the keys), or all are damaged.
    """

    def abstract(saved: ml_collections.ConfigDict) -> PyTree:
        _check_same_network(saved, config, task, checkpoints.folder, report)
        return abstract_tree(task, mesh)

    restored = checkpoints.restore_newest(abstract, report, set_aside=True)
    if restored is not None:
        report(f'resuming from {restored.folder}')
        return restored.tree, restored.step, restored.data
    tree = begin(task, config.seed, mesh)
    count = sum(x.size for x in jax.tree.leaves(parameters(tree['state'])))
    report(f'a new run in {checkpoints.folder.parent}: {count:,} parameters, {mesh.size} device(s)')
    sources = read_sources(config.train.get('start_from'))
    state = start_from.start(tree['state'], sources, config, task, mesh, load, report)
    return {**tree, 'state': state}, 0, None


def _check_same_network(
    saved: ml_collections.ConfigDict,
    config: ml_collections.ConfigDict,
    task: Task,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    if saved.get('task') == config.task:  # else that is the difference to name
        saved, config = completed(saved), completed(config)
    changed = differences(saved, config)
    fatal = [line for line in changed if line.startswith(fixed_keys(task))]
    if fatal:
        raise InputError(
            f'the checkpoints in {folder} are of another network (saved -> asked for):\n  '
            + '\n  '.join(fatal[:20])
            + '\nTake another --workdir, or the saved values'
        )
    for line in changed:
        report(f'differs from the saved run: {line}')


def load_run(
    path: str | Path,
    *,
    network: str = '',
    best: bool = False,
    mesh: Mesh | None = None,
    load: Load = refuse_to_load,
    report: Callable[[str], None] = print,
) -> LoadedRun:
    """Returns the network of a run's folder or of one checkpoint in it.

    Args:
      path: a run's folder (then its newest checkpoint that is whole), or
        `<run>/checkpoints/<step>`.
      network: which of the task's networks; '': all that `task.predict` takes.
      best: take the best by the config's metric instead of the newest.
      mesh: the devices that each hold the network; all of them if None.
      load: loads networks that the task predicts with beside its own.
      report: is given a line about each damaged checkpoint that is passed over.

    Raises:
      InputError: there is none, it is damaged, or `best` is asked of a run without validation.
    """
    found, step = find_checkpoints(path)
    steps = found.steps()
    if step is not None and step not in steps:
        raise InputError(f'no checkpoint of step {step} in {found.folder}: there are {steps}')
    if best and step is None:
        step = best_step(found, path)
    mesh = mesh or sharding.make_mesh()

    def abstract(config):
        return _saved_task(config, mesh, found.folder)[1]

    if step is None:
        restored = found.restore_newest(abstract, report, set_aside=False)
        assert restored is not None  # `find_checkpoints` has seen some
    else:
        restored = found.restore(step, abstract)
    found.close()
    config = completed(restored.config)
    task = tasks.make(config)
    states = states_by_network(
        task, with_frozen(task, restored.tree['state'], task.frozen(load, False))
    )
    if network and network not in states:
        raise InputError(f'{path} has no network {network!r}: {nearest(network, states)}')
    variables = predicting_variables(task, states)
    if network:
        variables = states[network].inference_variables()
    return LoadedRun(config, task, variables, restored.step)


def _saved_task(
    config: ml_collections.ConfigDict, mesh: Mesh, folder: Path
) -> tuple[Task, PyTree]:
    """Returns the task of a config that was read, which may be of any kind, and its arrays' shapes.

    Raises:
      InputError: it is not one that this version can train by.
    """
    try:
        task = tasks.make(completed(config))
        return task, abstract_tree(task, mesh)
    except InputError as error:
        raise InputError(f'{folder}: the saved config is of no use: {first_line(error)}') from error
    except Exception as error:  # values of any type and size: flax and JAX raise nearly anything
        reason = first_line(error)
        raise InputError(f'{folder}: no network is like the saved config: {reason}') from error


def best_step(found: Checkpoints, path: str | Path) -> int:
    """Returns the step of the best checkpoint by the metric of the newest one's config.

    Args:
      found: the checkpoints.
      path: what was asked for, for messages.

    Raises:
      InputError: none was validated, or the config names no metric.
    """
    config = found.config(found.steps()[-1])
    section = config.get('checkpoint')
    metric = str(section.get('best_metric') if isinstance(section, Section) else None)
    task, _ = _saved_task(config, sharding.make_mesh(jax.devices()[:1]), found.folder)
    directions = task.evaluation.higher_is_better
    if metric not in directions:
        hint = nearest(metric, directions)
        raise InputError(f'{path}: config.checkpoint.best_metric={metric!r}: {hint}')
    step = found.best_step(metric, directions[metric])
    if step is None:
        raise InputError(f'{path}: no checkpoint has been validated; leave out --best')
    return step
