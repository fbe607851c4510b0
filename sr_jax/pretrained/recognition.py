"""Whose weights a state dictionary holds, told by the names and shapes of its arrays.

A reader is a module of this package that is called as its network in `sr_jax.models` and defines

  matches(state) -> bool             whether these are arrays of the network, and of no other
  fields(state) -> dict              the fields of the network that they belong to
  from_torch(state) -> variables     its collections, float32
  to_torch(variables) -> state       the arrays by the names of the original

They are found by themselves: to add one is to add its file.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from sr_jax import pretrained
from sr_jax.errors import InputError
from sr_jax.pretrained import layouts, wrappers


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


def recognize(state: Mapping[str, Any], source: str) -> Recognized:
    """The network of a foreign state dictionary, with its hyper-parameters, and its variables.

    Args:
      state: arrays by name; may be nested under 'params_ema' or 'params', and the names may have
        prefixes (`sr_jax.pretrained.wrappers.cut_prefix`).
      source: what messages call it, such as the file's path.

    Raises:
      InputError: no network that is known here has such arrays, or several have, or some are
        missing or unknown.
    """
    given, known = layouts.plain(state), readers()
    inner: dict[str, Any] | None = given
    matching: list[str] = []
    while inner is not None and not matching:
        state, inner = inner, wrappers.cut_prefix(inner)
        matching = [name for name, module in known.items() if module.matches(state)]
    if not matching:
        raise InputError(
            f'{source}: the weights of no network that is known here ({", ".join(known)}); its '
            f'arrays are {layouts.shorten(given)}'
        )
    if len(matching) > 1:
        raise InputError(
            f'{source}: the weights of several networks at once ({", ".join(matching)}): take a '
            'file with those of one'
        )
    return _read(matching[0], known[matching[0]], state, source)


def foreign_names(name: str, variables: Mapping[str, Any], source: str) -> dict[str, np.ndarray]:
    """The state dictionary in the names of the original for the variables of a network.

    Args:
      name: of the network in `sr_jax.models`.
      variables: its collections.
      source: what messages call it.

    Raises:
      InputError: there is no original of this network, or it has no such layers.
    """
    known = readers()
    if name not in known:
        raise InputError(
            f'{source}: {name} is a network of ours, without an original whose names its arrays '
            f'could bear; there are originals of {", ".join(known)}'
        )
    try:
        return known[name].to_torch(variables)
    except InputError as error:
        raise InputError(f'{source}: {error}') from error


def _read(
    name: str, module: ModuleType, state: Mapping[str, np.ndarray], source: str
) -> Recognized:
    try:
        return Recognized({'name': name, **module.fields(state)}, module.from_torch(state))
    except InputError as error:
        raise InputError(f'{source}: {error}') from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # what arithmetic with the shapes of damaged arrays comes to
        raise InputError(
            f'{source}: not the weights of {name}: an array has another shape than it should '
            f'({error})'
        ) from error
