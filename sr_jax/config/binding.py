"""Configs: which keys a section may hold, loading of files and of saved runs.

A config is an `ml_collections.ConfigDict` of plain values. Each consumer states its keys as a
dataclass (settings, or a linen module); `bind` holds a section of the config against it.
"""

import dataclasses
import difflib
import importlib
import math
import pkgutil
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import ml_collections

from sr_jax.errors import InputError

MAX_WHOLE = 2**63 - 1
MAX_FLOAT = 3.4e38  # larger ones are infinite in float32
MAX_IN_NETWORKS = 2**31 - 1  # of a side or a count: arrays are indexed by 32 bits
Section: TypeAlias = Mapping | ml_collections.ConfigDict  # a ConfigDict is no Mapping


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns ', did you mean X?' for the valid name nearest to `name`, or a list of them all."""
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f'did you mean {close[0]!r}?'
    return 'valid: ' + ', '.join(valid)


def check_keys(
    section: Section, required: Iterable[str], optional: Iterable[str], where: str
) -> None:
    """Checks the keys of a section of a config.

    Raises:
      InputError: names each unknown key with the nearest valid one, and each missing key.
    """
    required, optional = set(required), set(optional)
    valid = required | optional
    problems = [
        f'{where} has no key {key!r}: {nearest(key, valid)}' for key in section if key not in valid
    ]
    problems += [f'{where} lacks the key {key!r}' for key in sorted(required - set(section))]
    if problems:
        raise InputError('\n'.join(problems))


def config_fields(target: type) -> list[dataclasses.Field]:
    """Returns the fields of a dataclass or linen module that a section of a config may hold."""
    fields = [field for field in dataclasses.fields(target) if field.init]
    if any(field.name == 'parent' for field in fields):  # a linen module: these two are Flax's own
        fields = [field for field in fields if field.name not in ('parent', 'name')]
    return fields


def bind(target: type, section: Section, where: str) -> Any:
    """Returns `target(**section)` for a dataclass or linen module, after checking every key.

    Args:
      target: a dataclass (a linen module is one); its fields are the valid keys, and those
        without a default are required.
      section: a part of the config, of plain values.
      where: the section's name for messages, such as 'config.train'.

    Raises:
      InputError: for an unknown key (naming the nearest valid one), a missing key, a value of
        the wrong type, or a number that is not finite, at any depth: no field means such a one.
    """
    fields = {f.name: f for f in config_fields(target)}
    required = [
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    check_keys(section, required, fields, where)
    _check_finite(section, where)
    hints = typing.get_type_hints(target)
    values = {key: _convert(section[key], hints[key], f'{where}.{key}') for key in section}
    if 'parent' in hints:
        _check_countable(values, where)
    try:
        return target(**values)
    except ValueError as error:
        raise InputError(f'{where}: {error}') from error


def _check_finite(value: Any, where: str) -> None:
    """Raises InputError, naming the key, for a number that float32 does not hold, or NaN."""
    if isinstance(value, Section):
        for key, item in value.items():
            _check_finite(item, f'{where}.{key}')
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check_finite(item, f'{where}[{i}]')
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f'{where} is {value}, but must be a finite number')
    elif isinstance(value, (int, float)) and abs(value) > MAX_FLOAT:
        size = f'is {value}' if isinstance(value, float) else 'has more than 38 digits'
        raise InputError(f'{where} {size}, but must be from -3.4e38 to 3.4e38, as in float32')


def _check_countable(value: Any, where: str) -> None:
    """Raises InputError, naming the key, for a number of a network that no array is indexed by."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_countable(item, f'{where}.{key}')
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            _check_countable(item, f'{where}[{i}]')
    elif isinstance(value, int) and abs(value) > MAX_IN_NETWORKS:
        raise InputError(f'{where} is {value}, but must be under 2**31, as in all networks')


def _convert(value, hint, where: str):
    """Returns `value` as the type `hint`, or raises InputError naming the key."""
    if dataclasses.is_dataclass(hint) and isinstance(value, Section):
        return bind(hint, value, where)  # type: ignore[arg-type]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and not isinstance(value, hint):
        keys = ', '.join(field.name for field in config_fields(hint))
        raise InputError(f'{where} must be a section, not {value!r}; its keys: {keys}')
    if isinstance(value, Section):
        value = dict(value)
    origin = typing.get_origin(hint)
    if origin is Mapping:
        return _convert_mapping(value, typing.get_args(hint)[1], where)
    if origin in (typing.Union, types.UnionType):
        return _convert_to_one(value, hint, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        item = typing.get_args(hint)[0]
        return tuple(_convert(v, item, f'{where}[{i}]') for i, v in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = hint in (int, float, str, bool) or origin is tuple
    if plain and (origin is tuple or type(value) is not hint):
        name = getattr(hint, '__name__', str(hint)) if origin is None else str(hint)
        raise InputError(f'{where} must be {name}, not {value!r} ({type(value).__name__})')
    if hint is int and not -MAX_WHOLE <= value <= MAX_WHOLE:
        raise InputError(f'{where} is {value}, but must be under 2**63, as 64 bits hold it')
    return value


def _convert_mapping(value, item, where: str):
    """Returns a mapping from names to `item`, or raises InputError naming the key."""
    if not isinstance(value, Mapping):
        raise InputError(f'{where} must be a mapping from names to values, not {value!r}')
    return {key: _convert(own, item, f'{where}.{key}') for key, own in value.items()}


def _convert_to_one(value, hint, where: str):
    """Returns `value` as one of the types of a union; those that are not plain take anything."""
    kinds = typing.get_args(hint)
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    if len(others) == 1:
        return _convert(value, others[0], where)
    if type(value) in kinds or not all(kind in (int, float, str, bool) for kind in others):
        return value
    raise InputError(f'{where} must be {hint}, not {value!r} ({type(value).__name__})')


def find_module(package: str, name: str, where: str, exported: str) -> types.ModuleType:
    """Imports the module `name` of one of our packages, such as 'sr_jax.tasks'.

    Args:
      package: where to look.
      name: of the module.
      where: the name's key for messages, such as 'config.task'.
      exported: what a module must have to count: one of helpers alone is none of the kind.

    Raises:
      InputError: no such module; names the nearest one, or all.
    """
    path = importlib.import_module(package).__path__
    names = [module.name for module in pkgutil.iter_modules(path)]

    def counts(module_name: str) -> bool:
        return hasattr(importlib.import_module(f'{package}.{module_name}'), exported)

    if name not in names or not counts(name):
        valid = filter(counts, names)
        raise InputError(f'{where}={name!r} is unknown: {nearest(str(name), valid)}')
    return importlib.import_module(f'{package}.{name}')
