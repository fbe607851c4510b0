"""Networks, one a file; each file exports its linen module as `Model`.

`sr_jax.models.protocols` says what others may ask of one.
"""

import importlib
import pkgutil
from typing import Any

from flax import linen as nn

from sr_jax.config.binding import Section, bind, nearest
from sr_jax.config.extension import extend
from sr_jax.errors import InputError

__path__ = extend(__path__, __name__)


def make(section: Section, where: str = 'config.model', **fields: Any) -> nn.Module:
    """Returns `sr_jax.models.<name>.Model` with the fields of a config's section 'model'.

    Args:
      section: {'name': ..., and fields of the module}.
      where: the section's name, for messages.
      fields: further fields that come from elsewhere in the config, such as dtype.

    Raises:
      InputError: no such network, or a key that is not a field of it.
    """
    values = dict(section.items())
    model = find(values.pop('name', ''), where)
    return bind(model, {**values, **fields}, where)


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


def _files() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def _load(name: str) -> type[nn.Module] | None:
    """Returns `Model` of a file; None of one that is no network's."""
    return vars(importlib.import_module(f'sr_jax.models.{name}')).get('Model')
