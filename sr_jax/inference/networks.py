"""A trained network from whatever holds it: a run, a file of weights, a name of published ones.

Or from several of them, mixed.
"""

import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from jax.sharding import Mesh

from sr_jax import models
from sr_jax.checkpoints.metadata import check_repeats
from sr_jax.checkpoints.start_from import describe_misfit
from sr_jax.config.binding import nearest
from sr_jax.config.serialization import from_json
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.inference import mixtures
from sr_jax.layers.repeated import initial_shapes
from sr_jax.pretrained import files, named, openmodeldb, recognition, untold
from sr_jax.tasks.task import FROZEN

METADATA = 'sr_jax'  # the key in a file's header under which ours say what network they hold
MAX_PARTS = 32  # of the name of an array: deeper trees are nobody's network


class LoadedNetwork(NamedTuple):
    """A network and what it has learned.

    Attributes:
      model: as in a config's section 'model': its name in `sr_jax.models`, and its fields.
      variables: what its `apply` takes.
      source: where it came from, for messages.
      step: updates done; 0 where that is not known.
    """

    model: dict[str, Any]
    variables: dict[str, Any]
    source: str
    step: int = 0

    def module(self, **fields: Any) -> nn.Module:
        """Its linen module, with further fields, such as dtype."""
        return models.make(self.model, **fields)


def load(
    source: str | Path,
    *,
    best: bool = False,
    mesh: Mesh | None = None,
    report: Callable[[str], None] = print,
    told: Mapping[str, Any] = MappingProxyType({}),
) -> LoadedNetwork:
    """Loads a network.

    Args:
      source: a run's folder or one of its checkpoints, with '#' and the name of one of its task's
        networks where that is not to be the one that predicts ('runs/esrgan#discriminator'); a file
        of weights, ours or others' (`sr_jax.pretrained.files.read_state` says which kinds); a key
        of `sr_jax.pretrained.named.WEIGHTS`; a model of a public catalogue
        ('openmodeldb:4x-UltraSharp'); or a mixture of such, each with a colon and its weight, which
        add up to 1 ('a.pth:0.7,b.pth:0.3').
      best: of a run, take the best checkpoint instead of the newest.
      mesh: of a run, the devices that each hold the network; None: the first one alone.
      report: is given lines about damaged checkpoints passed over, weights being fetched, and
        mixtures of what has no common ancestor.
      told: of others' file, fields of the network that its arrays do not tell, by name.

    Raises:
      InputError: there is no such thing, it is damaged, or of a network that is not known here; it
        holds what is not finite; what is to be mixed are other networks.
    """
    run, _, name = str(source).partition('#')
    if os.path.isdir(run):  # which says no of names that are too long, where pathlib raises
        return check_finite(_load_run(Path(run), name, best, mesh, report))
    path = Path(source)
    if os.path.exists(path):
        return check_finite(_load_file(path, told))
    if parts := mixtures.parse(str(source)):
        load_part = functools.partial(load, best=best, mesh=mesh, report=report)
        return _mix(parts, str(source), load_part, report)
    if str(source).startswith(openmodeldb.PREFIX):
        return check_finite(_load_catalogued(str(source), report, told))
    if str(source) in named.WEIGHTS:
        found = LoadedNetwork(*named.read(str(source), report), str(source))
        return check_finite(check_network(found))
    raise InputError(
        f'no such run, file of weights or published weights: {source}; of published ones, '
        f'{nearest(str(source), named.WEIGHTS)}'
    )


def save(path: str | Path, network: LoadedNetwork) -> None:
    """Writes a network as one `.safetensors` file by our names, which `load` reads.

    Raises:
      InputError: it cannot be written.
    """
    flat = traverse_util.flatten_dict(network.variables, sep='/')
    described = {METADATA: json.dumps(network.model)}
    files.write_state(path, {name: np.asarray(value) for name, value in flat.items()}, described)


def _load_run(
    path: Path, name: str, best: bool, mesh: Mesh | None, report: Callable[[str], None]
) -> LoadedNetwork:
    from sr_jax.checkpoints.run import load_run  # a slow import, for runs alone

    mesh = mesh or sharding.make_mesh(jax.devices()[:1])
    load_beside = functools.partial(load, mesh=mesh, report=report)
    found = load_run(path, network=name, best=best, mesh=mesh, load=load_beside, report=report)
    first = next(iter(found.task.networks))
    model = found.config[found.task.networks[name or first]].to_dict()
    variables = found.variables[first] if found.task.joint and not name else found.variables
    variables = {key: value for key, value in variables.items() if key != FROZEN}
    return LoadedNetwork(model, variables, str(path), found.step)


def _mix(
    parts: list[tuple[str, float]],
    source: str,
    load_part: Callable[[str], LoadedNetwork],
    report: Callable[[str], None],
) -> LoadedNetwork:
    first, *others = several = [load_part(name) for name, _ in parts]
    for other in others:
        of = f'{source}: {first.source} and {other.source}'
        if difference := mixtures.describe_difference(first.module(), other.module()):
            raise InputError(f'{of} are other networks ({difference}): only equal ones are mixed')
        if problem := describe_misfit(first.variables, other.variables):
            raise InputError(f'{of} do not fit: {problem}')
        angle = mixtures.cosine(first.variables, other.variables)
        if angle < mixtures.RELATED:
            report(
                f'{of} seem to have no common ancestor (the cosine of their weights is '
                f'{angle:.2f}): such a mixture is worse than each of them, or dark'
            )
    variables = mixtures.mix([found.variables for found in several], [w for _, w in parts])
    return LoadedNetwork(first.model, variables, source)


def check_finite(network: LoadedNetwork) -> LoadedNetwork:
    """The network, once all numbers in it were found to be finite.

    Raises:
      InputError: some are not; names the first array with one.
    """
    for path, value in traverse_util.flatten_dict(network.variables, sep='/').items():
        if isinstance(value, jax.Array) and not (
            value.is_fully_addressable or value.is_fully_replicated
        ):
            continue  # parts of it are other processes'
        array = np.asarray(value)
        if jnp.issubdtype(array.dtype, jnp.inexact) and not np.isfinite(array).all():
            raise InputError(
                f'{network.source}: {path} holds numbers that are not finite, of which no image '
                'can be made: the file is damaged, or the training diverged'
            )
    return network


def check_network(network: LoadedNetwork) -> LoadedNetwork:
    """The network, once every array was found to have the shape that its module gives it.

    Raises:
      InputError: an array is missing or of another shape, or there is no such network.
    """
    name = network.model.get('name')
    try:
        expected = _shapes(network.module())
    except InputError as error:
        raise InputError(f'{network.source}: {error}') from error
    except Exception as error:  # fields of any type and number: flax and JAX raise nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f'{network.source}: no {name} is like this: {reason}') from error
    problem = describe_misfit(network.variables, expected)
    if problem:
        raise InputError(f'{network.source}: {name} does not fit: {problem}')
    return network


def _load_file(path: Path, told: Mapping[str, Any]) -> LoadedNetwork:
    metadata, state = files.read_metadata(path), files.read_state(path)
    if any(len(re.split('[./]', name)) > MAX_PARTS for name in state):
        raise InputError(f'{path}: damaged: the name of an array has more than {MAX_PARTS} parts')
    if METADATA not in metadata:
        found = recognition.recognize(state, str(path), told)
        return check_network(LoadedNetwork(*found, str(path)))
    untold.fill({}, told, str(path))
    try:
        model = from_json(metadata[METADATA]).to_dict()
        check_repeats(model, len(state), 'model')
        variables = traverse_util.unflatten_dict(state, sep='/')
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f'{path}: damaged header ({error})') from error
    return check_network(LoadedNetwork(model, variables, str(path)))


def _load_catalogued(
    source: str, report: Callable[[str], None], told: Mapping[str, Any]
) -> LoadedNetwork:
    model, path = openmodeldb.find(source, report)
    network = _load_file(path, told)._replace(source=source)
    scale = network.model.get('scale', model.scale)
    if scale != model.scale:
        report(f'{source}: the catalogue says scale {model.scale}, but its arrays are of {scale}')
    return network


def _shapes(module: Any) -> dict[str, Any]:
    """The shapes of the variables of a network, which is not run."""
    expected = initial_shapes(lambda x: module.init(jax.random.key(0), x), module.example(1))
    return {key: value for key, value in expected.items() if key != 'intermediates'}
