"""A trained network from its checkpoint alone: the config beside it rebuilds the task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from sr_jax import tasks
from sr_jax.checkpoints.manager import Checkpoints, find_checkpoints
from sr_jax.checkpoints.retention import HIGHER_IS_BETTER
from sr_jax.config.binding import Section, bind, nearest
from sr_jax.config.serialization import differences
from sr_jax.devices import sharding
from sr_jax.errors import InputError, first_line
from sr_jax.layers.switching import Switching, convert_to_switched
from sr_jax.tasks.task import FROZEN, Batch, Task, TrainState

# A run can go on with other settings, except for those that its saved arrays depend on.
FIXED = (
    'config.task:',
    'config.dtype:',
    'config.model.',
    'config.optimizer.name:',
    'config.optimizer.ema_decay:',
    'config.discriminator:',
    'config.discriminator.',
    'config.discriminator_optimizer.name:',
)


class LoadedRun(NamedTuple):
    """What `load` returns.

    Attributes:
      config: the resolved config of the run.
      task: its functions.
      variables: what `task.predict` takes.
      step: updates done.
    """

    config: ml_collections.ConfigDict
    task: Task
    variables: dict[str, Any]
    step: int


def read_switching(config: ml_collections.ConfigDict) -> Switching:
    """Returns which convolutions of a config's network are switched, and how."""
    return bind(Switching, config.model.get('switching', {}), 'config.model.switching')


def abstract_state(config: ml_collections.ConfigDict, task: Task, mesh: Mesh) -> PyTree:
    """Returns the shapes and shardings of what a checkpoint of the config holds."""
    size = config.data.crop_size
    batch = {'hq': jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)}
    shapes = jax.eval_shape(lambda key, b: initial(task, key, b), jax.random.key(0), batch)
    return jax.tree.map(
        lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place),
        shapes,
        sharding.layout(shapes, mesh),
    )


def initial(task: Task, key: Array, batch: Batch) -> PyTree:
    """Returns what a checkpoint holds, at the start of a run: the train state and its key."""
    init_key, run_key = jax.random.split(key)
    return {'state': task.init(init_key, batch), 'rng': jax.random.key_data(run_key)}


def with_frozen(tree: PyTree, frozen: Any) -> PyTree:
    """Returns the arrays of a checkpoint with what training needs besides: `Task.frozen()`."""
    if frozen is None:
        return tree
    state = tree['state']
    return {**tree, 'state': state.replace(variables={**state.variables, FROZEN: frozen})}


def without_frozen(tree: PyTree) -> PyTree:
    """Returns what a checkpoint is to hold of the arrays of a run."""
    state = tree['state']
    kept = {name: value for name, value in state.variables.items() if name != FROZEN}
    return {**tree, 'state': state.replace(variables=kept)}


def resume_or_init(
    checkpoints: Checkpoints,
    config: ml_collections.ConfigDict,
    task: Task,
    mesh: Mesh,
    report: Callable[[str], None],
) -> tuple[PyTree, int, dict[str, Any] | None]:
    """Returns the arrays and the step that a run goes on from, and where its data was, if it was.

    Raises:
      InputError: the checkpoints are of another network (names the keys), or all are damaged.
    """

    def abstract(saved: ml_collections.ConfigDict) -> PyTree:
        _check_same_network(saved, config, checkpoints.folder, report)
        return abstract_state(config, task, mesh)

    restored = checkpoints.restore_newest(abstract, report, set_aside=True)
    if restored is not None:
        report(f'going on from {restored.folder}')
        return restored.tree, restored.step, restored.data
    size = config.data.crop_size
    batch = {'hq': jnp.zeros((1, size, size, 3))}
    places = jax.tree.map(lambda s: s.sharding, abstract_state(config, task, mesh))
    begin = jax.jit(lambda seed: initial(task, jax.random.key(seed), batch), out_shardings=places)
    tree = begin(np.uint32(config.seed))
    count = sum(x.size for x in jax.tree.leaves(tree['state'].params))
    report(f'a new run in {checkpoints.folder.parent}: {count:,} parameters, {mesh.size} device(s)')
    if config.train.get('start_from'):
        tree = {**tree, 'state': _started(tree['state'], config, mesh, report)}
    return tree, 0, None


def _started(
    state: TrainState,
    config: ml_collections.ConfigDict,
    mesh: Mesh,
    report: Callable[[str], None],
) -> TrainState:
    """Returns the state with the parameters and collections of `config.train.start_from`."""
    path = config.train.start_from
    found = load_run(path, mesh=mesh, report=report)
    variables, how = found.variables, 'begins with'
    wanted = read_switching(config)
    if wanted.layers and not read_switching(found.config).layers:
        key = jax.random.fold_in(jax.random.key(config.seed), found.step)
        variables = convert_to_switched(variables, wanted, key)
        how = f'{len(wanted.layers)} convolutions switched, begins with'
    expected = state.inference_variables()
    part = found.config.model.name
    if part != config.model.name and part in expected['params']:
        variables = {'params': {**expected['params'], part: variables['params']}}
        how = f'{part} begins with'
    problem = misfit(variables, expected)
    if problem:
        raise InputError(
            f'config.train.start_from={path} does not fit config.model: {problem}. Take the '
            'values of the run that is started from, but for `switching`'
        )
    report(f'{how} the network of {path} after {found.step} steps')
    copies = jax.tree.map(jnp.copy, dict(variables))
    return state.starting_with(jax.device_put(copies, sharding.layout(copies, mesh)))


def misfit(variables: PyTree, expected: PyTree) -> str:
    """Returns what of the variables has no place in the expected ones, or ''."""
    have, want = (
        {jax.tree_util.keystr(k, simple=True, separator='/'): v.shape for k, v in leaves}
        for leaves in map(jax.tree.leaves_with_path, (variables, expected))
    )
    for name in sorted(have.keys() | want.keys()):
        if have.get(name) != want.get(name):
            return f'{name} is {have.get(name, "missing")} there and {want.get(name, "none")} here'
    return ''


def _check_same_network(
    saved: ml_collections.ConfigDict,
    config: ml_collections.ConfigDict,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    changed = differences(saved, config)
    fatal = [line for line in changed if line.startswith(FIXED)]
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
    best: bool = False,
    mesh: Mesh | None = None,
    report: Callable[[str], None] = print,
) -> LoadedRun:
    """Returns the network of a run's folder or of one checkpoint in it.

    Args:
      path: a run's folder (then its newest checkpoint that is whole), or
        `<run>/checkpoints/<step>`.
      best: take the best by the config's metric instead of the newest.
      mesh: the devices that each hold the network; all of them if None.
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
        return _saved_state(config, mesh, found.folder)

    if step is None:
        restored = found.restore_newest(abstract, report, set_aside=False)
        assert restored is not None  # `find` has seen checkpoints
    else:
        restored = found.restore(step, abstract)
    found.close()
    variables = restored.tree['state'].inference_variables()
    return LoadedRun(restored.config, tasks.make(restored.config), variables, restored.step)


def _saved_state(config: ml_collections.ConfigDict, mesh: Mesh, folder: Path) -> PyTree:
    """Returns `abstract_state` by a config that was read, which may be of any kind.

    Raises:
      InputError: it is not one that this version can train by.
    """
    try:
        return abstract_state(config, tasks.make(config), mesh)
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
    section = found.config(found.steps()[-1]).get('checkpoint')
    metric = section.get('best_metric') if isinstance(section, Section) else None
    if str(metric) not in HIGHER_IS_BETTER:
        hint = nearest(str(metric), HIGHER_IS_BETTER)
        raise InputError(f'{path}: config.checkpoint.best_metric={metric!r}: {hint}')
    step = found.best_step(str(metric))
    if step is None:
        raise InputError(f'{path}: no checkpoint has been validated; leave out --best')
    return step
