"""Whose weights a state dictionary holds, told by the names and shapes of its arrays.

A reader is a module of this package that is called as its network in `sr_jax.models` and defines

  matches(state) -> bool             whether these are arrays of the network, and of no other
  fields(state) -> dict              the fields of the network that they belong to
  from_torch(state) -> variables     its collections, float32
  to_torch(variables) -> state       the arrays by the names of the original

and, where the original's files hold more than follows from the variables,

  constants(module) -> state         those arrays, by the fields of the network

and, where the arrays leave fields open,

  untold(state) -> dict              these, each an `sr_jax.pretrained.untold.Untold`

and, where several programs have the network,

  DIALECTS                           functions from the arrays of `to_torch` to other names, by name

and, where the network can be one of ncnn's,

  to_ncnn(module, variables)         its layers there (`sr_jax.pretrained.ncnn_graph.Layer`), and
                                     their arrays by name

They are found by themselves: to add one is to add its file.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from sr_jax import pretrained
from sr_jax.errors import InputError
from sr_jax.pretrained import layouts, strangers, untold, wrappers
from sr_jax.pretrained.ncnn_graph import Layer


class Recognized(NamedTuple):
    """What `recognize` found.

    Attributes:
      model: as in a config's section 'model': the network's name in `sr_jax.models`, its fields.
      variables: its collections, float32.
    """

    model: dict[str, Any]
    variables: dict[str, Any]


def readers() -> dict[str, ModuleType]:
    """The modules that read the weights of a network, by its name in `sr_jax.models`."""
    names = sorted(found.name for found in pkgutil.iter_modules(pretrained.__path__))
    modules = {name: importlib.import_module(f'sr_jax.pretrained.{name}') for name in names}
    return {name: module for name, module in modules.items() if 'matches' in vars(module)}


def recognize(
    state: Mapping[str, Any], source: str, told: Mapping[str, Any] = MappingProxyType({})
) -> Recognized:
    """The network of a foreign state dictionary, with its hyper-parameters, and its variables.

    Args:
      state: arrays by name; may be nested under 'params_ema' or 'params', and the names may have
        prefixes (`sr_jax.pretrained.wrappers.cut_prefix`).
      source: what messages call it, such as the file's path.
      told: fields of the network that its arrays do not tell, by name.

    Raises:
      InputError: no network that is known here has such arrays, or several have, or some are
        missing or unknown; or they leave a field open that is not told.
    """
    given, known = layouts.plain(state), readers()
    inner: dict[str, Any] | None = given
    matching: list[str] = []
    while inner is not None and not matching:
        state, inner = inner, wrappers.cut_prefix(inner)
        matching = [name for name, module in known.items() if module.matches(state)]
    if not matching:
        guess = strangers.describe(given)
        raise InputError(
            f'{source}: the weights of no network that is known here ({", ".join(known)}); its '
            f'arrays are {layouts.shorten(given)}{guess and f", and {guess}"}'
        )
    if len(matching) > 1:
        raise InputError(
            f'{source}: the weights of several networks at once ({", ".join(matching)}): take a '
            'file with those of one'
        )
    return _read(matching[0], known[matching[0]], state, source, told)


def foreign_names(
    name: str, module: Any, variables: Mapping[str, Any], source: str, dialect: str = ''
) -> dict[str, np.ndarray]:
    """The state dictionary in the names of the original for the variables of a network.

    Args:
      name: of the network in `sr_jax.models`.
      module: the network, for its fields.
      variables: its collections.
      source: what messages call it.
      dialect: whose names, where several programs have the network; '': the first one's.

    Raises:
      InputError: there is no original of this network, or it has no such layers, or there are no
        such names.
    """
    known = readers()
    if name not in known:
        raise InputError(
            f'{source}: {name} is a network of ours, without an original whose names its arrays '
            f'could bear; there are originals of {", ".join(known)}'
        )
    dialects = vars(known[name]).get('DIALECTS', {})
    if dialect and dialect not in dialects:
        has = f'also those of {", ".join(dialects)}' if dialects else 'no others'
        raise InputError(f'{source}: no names of {dialect}: {name} has those of one, and {has}')
    try:
        state = known[name].to_torch(variables)
        if 'constants' in vars(known[name]):
            state |= known[name].constants(module)
        return dialects[dialect](state) if dialect else state
    except InputError as error:
        raise InputError(f'{source}: {error}') from error


def ncnn_layers(
    name: str, module: Any, variables: Mapping[str, Any], source: str
) -> tuple[list[Layer], dict[str, np.ndarray]]:
    """The layers of ncnn that a network is, and their arrays by name; arguments as above.

    Raises:
      InputError: it is none of ncnn's here.
    """
    known = {key: reader for key, reader in readers().items() if 'to_ncnn' in vars(reader)}
    if name not in known:
        raise InputError(
            f"{source}: {name} is not written as ncnn's files: {', '.join(known)} are; others "
            'become .onnx'
        )
    try:
        layers: tuple[list[Layer], dict[str, np.ndarray]] = known[name].to_ncnn(module, variables)
    except InputError as error:
        raise InputError(f'{source}: {error}') from error
    return layers


def _take_off(
    state: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The state without what the original would make of the fields again.

    Raises:
      InputError: it is not what the original would make.
    """
    state = layouts.plain(state)
    for name in constants.keys() & state.keys():
        if not np.array_equal(state[name], constants[name]):
            raise InputError(f"'{name}' is not what these networks have there, always the same")
    return {name: value for name, value in state.items() if name not in constants}


def _read(
    name: str,
    module: ModuleType,
    state: Mapping[str, np.ndarray],
    source: str,
    told: Mapping[str, Any],
) -> Recognized:
    asked = module.untold(state) if 'untold' in vars(module) else {}
    said = untold.fill(asked, told, source)
    try:
        fields = {**module.fields(state), **said}
        if 'constants' in vars(module):
            state = _take_off(state, module.constants(SimpleNamespace(**fields)))
        return Recognized({'name': name, **fields}, module.from_torch(state))
    except InputError as error:
        raise InputError(f'{source}: {error}') from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # what arithmetic with the shapes of damaged arrays comes to
        raise InputError(
            f'{source}: not the weights of {name}: an array has another shape than it should '
            f'({error})'
        ) from error
