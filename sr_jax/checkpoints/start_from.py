"""What a new run begins with: the networks that `config.train.start_from` names.

Each is a run or a checkpoint of one, a file of weights, or the name of published ones. One alone
fits the network that predicts, or a part of its parameters that bears the network's name, as an
RRDBNet fits the encoder of an SRFlow. Several are given by what they are for: {'generator':
'esrgan.pth', 'discriminator': 'runs/esrgan'}, where a name is that of a network of the task, or of
a part of the network that predicts: of its parameters, or a collection that holds a network which
it does not train. Such a part begins with the part of that name of what is loaded, where that has
one: {'backbone': 'runs/pixel_contrast'} is its backbone alone.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from sr_jax.config.binding import Section, bind, nearest
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.layers.switching import Switching, convert_to_switched
from sr_jax.tasks.task import (
    Load,
    LoadedNetwork,
    State,
    Task,
    TrainState,
    states_by_network,
)


def start(
    state: State,
    sources: Mapping[str, str],
    config: ml_collections.ConfigDict,
    task: Task,
    mesh: Mesh,
    load: Load,
    report: Callable[[str], None],
) -> State:
    """Returns a state with the parameters and collections of the sources in their places.

    Args:
      state: of a new run.
      sources: from `sr_jax.config.settings.read_sources`.
      config: of the run.
      task: of the config.
      mesh: the devices.
      load: loads a source.
      report: is given a line about each source.

    Raises:
      InputError: a source cannot be loaded, there is no such part, or it does not fit; says what.
    """
    for part, source in sources.items():
        network, networks = load(source), states_by_network(task, state)
        name = part if part in networks else next(iter(networks))
        old = networks[name]
        parts = _parts(old.inference_variables())
        if part not in ('', name, *parts):
            valid = [*networks, *parts]
            raise InputError(f'config.train.start_from has {part!r}: {nearest(part, valid)}')
        section = config[task.networks[name]]
        if part == name and network.model['name'] == section['name']:
            part = ''  # the whole network, though it may have a part of that name
        new = _place(old, network, config, section, part, mesh, report)
        state = {**state, name: new} if isinstance(state, dict) else new
    return state


def _place(
    state: TrainState,
    network: LoadedNetwork,
    config: ml_collections.ConfigDict,
    section: Section,
    part: str,
    mesh: Mesh,
    report: Callable[[str], None],
) -> TrainState:
    """Returns the state of a network with a loaded one, or with that as a part of it."""
    variables, how = network.variables, 'begins with'
    expected = state.inference_variables()
    wanted = bind(Switching, section.get('switching', {}), 'config.model.switching')
    if part in expected['params']:
        layers = layers_within(part, wanted.layers, part in variables['params'])
        wanted = dataclasses.replace(wanted, layers=layers)
    if wanted.layers and not dict(network.model.get('switching', {})).get('layers'):
        key = jax.random.fold_in(jax.random.key(config.seed), network.step)
        variables = convert_to_switched(variables, wanted, key)
        how = f'{len(wanted.layers)} convolutions switched, begins with'
    name, parts = network.model['name'], _parts(expected)
    if name != section['name'] and part not in parts:
        part = name
    if part in parts:
        variables = _put_part(expected, variables, part)
        how = f'{part} begins with'
    problem = describe_misfit(variables, expected)
    if problem:
        raise InputError(
            f'config.train.start_from={network.source} does not fit config.model: {problem}. It is '
            f"a '{name}': take the values of the network that is started from, but for `switching`"
        )
    after = f' after {network.step} steps' if network.step else ''
    report(f'{how} the network of {network.source}{after}')
    # By NumPy: on devices each shape would be a program of its own.
    copies = jax.tree.map(lambda x: np.array(x, order='C'), dict(variables))
    return state.starting_with(jax.device_put(copies, sharding.layout(copies, mesh)))


def _parts(variables: Mapping[str, PyTree]) -> list[str]:
    """Returns the names of the parts of a network's parameters, and of the networks in it that are
    collections of their own."""
    networks = (
        name
        for name, kept in variables.items()
        if isinstance(kept, Mapping) and 'params' in kept
    )
    return [*variables['params'], *networks]


def layers_within(part: str, layers: tuple[str, ...], inner: bool) -> tuple[str, ...]:
    """Returns the layers that are in a part, as paths of the network that is loaded: the part is
    one of its own (`inner`), or all of it."""
    start = f'{part}/'
    within = tuple(layer for layer in layers if layer.startswith(start))
    return within if inner else tuple(layer.removeprefix(start) for layer in within)


def _put_part(
    expected: Mapping[str, PyTree], loaded: Mapping[str, PyTree], part: str
) -> dict[str, PyTree]:
    """Returns the variables of a network with a loaded one, or its part of the same name, as a
    part."""
    if part in expected:
        return {**expected, part: loaded.get(part, loaded)}
    inner = part in loaded['params']
    new = dict(expected)
    for collection in loaded.keys() & expected.keys():
        arrays = loaded[collection].get(part) if inner else loaded[collection]
        if arrays is not None:
            new[collection] = {**expected[collection], part: arrays}
    return new


def describe_misfit(variables: PyTree, expected: PyTree) -> str:
    """Returns what of the variables has no place in the expected ones, or ''."""
    have, want = (
        {jax.tree_util.keystr(k, simple=True, separator='/'): v.shape for k, v in leaves}
        for leaves in map(jax.tree.leaves_with_path, (variables, expected))
    )
    for name in sorted(have.keys() | want.keys()):
        if have.get(name) != want.get(name):
            return f'{name} is {have.get(name, "missing")} there and {want.get(name, "none")} here'
    return ''
