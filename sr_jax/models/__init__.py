"""Networks, one a file; each file exports its linen module as `Model`.

`sr_jax.models.protocols` says what others may ask of one.
"""

import dataclasses
import importlib
import math
import pkgutil
from typing import Any

from flax import linen as nn

from sr_jax.config.binding import Section, bind, config_fields, nearest
from sr_jax.config.extension import extend
from sr_jax.errors import InputError

# Layers are traced and compiled one by one; no published network has so many of a kind.
MAX_REPEATED = 1000
__path__ = extend(__path__, __name__)


def make(section: Section, where: str = 'config.model', **fields: Any) -> nn.Module:
    """Returns `sr_jax.models.<name>.Model` with the fields of a config's section 'model'.

    Args:
      section: {'name': ..., and fields of the module}.
      where: the section's name, for messages.
      fields: further fields that come from elsewhere in the config, such as dtype.

    Raises:
      InputError: no such network, a key that is not a field of it, or a number that the field
        does not take (see `sr_jax.models.protocols.Network`).
    """
    values = dict(section.items())
    model = find(values.pop('name', ''), where)
    made = bind(model, {**values, **fields}, where)
    _check_numbers(made, where)
    return made


def find(name: str, where: str = 'config.model') -> type[nn.Module]:
    """Returns the class of the network with that name, of a section of a config.

    Raises:
      InputError: there is none, and the nearest name; or its class lacks what every network has.
    """
    model = _load(name) if name in _files() else None
    if model is None:
        known = nearest(str(name), names())
        raise InputError(f'{where}.name={name!r} is unknown: {known}')
    missing = {'REPEATED', 'example'} - set(dir(model))
    if missing:
        raise InputError(
            f'sr_jax.models.{name}: its Model lacks {", ".join(sorted(missing))}, which every '
            'network has: see sr_jax.models.protocols'
        )
    return model


def names(kind: Any = None) -> list[str]:
    """Returns the names of all networks, or of those of a kind.

    Args:
      kind: one of `sr_jax.models.protocols`, such as `Enlarger`.
    """
    found = [name for name in _files() if _load(name) is not None]
    return [name for name in found if kind is None or isinstance(find(name)(), kind)]


def repeated_fields(name: str) -> tuple[str, ...]:
    """Returns `REPEATED` of the network with that name; () where there is none."""
    known = name in _files() and _load(name) is not None
    return find(name).REPEATED if known else ()  # type: ignore[attr-defined]


def _check_numbers(model: Any, where: str) -> None:
    """Raises InputError, naming the key, for a number that a field of a network does not take."""
    for field in config_fields(type(model)):
        value = getattr(model, field.name)
        limits = _find_limits(type(model), field)
        if isinstance(value, tuple):
            for i, number in enumerate(value):
                _check_number(number, limits, f'{where}.{field.name}[{i}]')
        else:
            _check_number(value, limits, f'{where}.{field.name}')


def _check_number(value: Any, limits: tuple[float, float] | None, where: str) -> None:
    if limits is None or type(value) not in (int, float):
        return
    least, most = limits
    if not least <= value <= most:
        allowed = f'at least {least}' if most == math.inf else f'from {least} to {most}'
        raise InputError(f'{where} is {value}, but must be {allowed}')


def _find_limits(model: Any, field: dataclasses.Field) -> tuple[float, float] | None:
    """Returns the least and the greatest number that a field takes; None: any.

    They are those of `LIMITS`, where it has the field. Any other whole number is a size, of at
    least 1, or may be 0 where it counts repetitions, of at most `MAX_REPEATED`, or where 0 is the
    default and so has a meaning of its own. Of a negative default, and of fractions, nothing is
    known.
    """
    told = getattr(model, 'LIMITS', {})
    if field.name in told:
        return told[field.name]
    defaults = field.default if isinstance(field.default, tuple) else (field.default,)
    if not defaults or not all(type(d) is int and d >= 0 for d in defaults):
        return None
    if field.name in model.REPEATED:
        return 0, MAX_REPEATED
    return (0 if 0 in defaults else 1), math.inf


def _files() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def _load(name: str) -> type[nn.Module] | None:
    """Returns `Model` of a file; None of one that is no network's."""
    return vars(importlib.import_module(f'sr_jax.models.{name}')).get('Model')
