"""What the arrays of a file do not tell of their network, and people say instead."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sr_jax.errors import InputError


class Untold(NamedTuple):
    """A field of a network that no array tells.

    Attributes:
      options: what it may be.
      usual: what it is if it is not said; None: it must be said.
    """

    options: Sequence[Any]
    usual: Any = None


def fill(untold: Mapping[str, Untold], told: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields that no array tells, as they were said or as they usually are.

    Args:
      untold: those fields.
      told: what was said, by their names.
      source: what messages call the file.

    Raises:
      InputError: one must be said, or cannot be what was said; or what was said is told.
    """
    for name, value in told.items():
        if name not in untold:
            raise InputError(f'{source}: {name} {value} was said, which its arrays tell already')
    found = {}
    for name, (options, usual) in untold.items():
        value = told.get(name, usual)
        if value is None:
            choices = ' or '.join(map(str, options))
            raise InputError(
                f'{source}: its arrays do not tell the {name} of the network. Say it once, to make '
                f'a file that tells it: sr-jax convert {source} --{name} {options[0]} --output '
                f'FILE.safetensors ({choices})'
            )
        if value not in options:
            choices = ', '.join(map(str, options))
            raise InputError(f'{source}: {name} {value} was said: it is one of {choices}')
        found[name] = value
    return found
