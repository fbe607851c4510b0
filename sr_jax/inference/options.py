"""What can be asked of an `Upscaler` or of films, by one rule for Python and the command line."""

import math
import numbers
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from sr_jax.config.binding import nearest
from sr_jax.config.settings import PRODUCTS
from sr_jax.errors import InputError
from sr_jax.tasks.task import DTYPES

_NAMES = {'dtype': DTYPES, 'products': PRODUCTS}
_WHOLE = ('halo', 'tile', 'memory_limit', 'seed')
_REAL = ('temperature', 'memory')
_SWITCHES = ('spatially', 'consistent', 'bounded', 'compare', 'square_pixels')


def check_names(names: Iterable[str], valid: Iterable[str], what: str) -> None:
    """Raises InputError for a name of no option, with the nearest one.

    Args:
      names: of the options that are given.
      valid: of those that there are.
      what: is enlarged, for the message.
    """
    valid = sorted(valid)
    for name in names:
        if name not in valid:
            guess = nearest(name, valid)
            raise InputError(f'{what} is enlarged without an option {name!r}: {guess}')


def check_options(**options: Any) -> None:
    """Checks options of an `Upscaler` by their names; others, and a halo of None, pass.

    Raises:
      InputError: one cannot be meant; names it.
    """
    for name, value in options.items():
        if name != 'halo' or value is not None:
            check_option(name, value, name)


def check_option(name: str, value: Any, shown: str) -> None:
    """Checks one option.

    Args:
      name: of the option.
      value: that it is given.
      shown: what the message calls it, such as '--halo'.

    Raises:
      InputError: it cannot be meant.
    """
    if name in _NAMES and value not in _NAMES[name]:
        valid = ', '.join(map(repr, _NAMES[name]))
        raise InputError(f'{shown} {value!r}: it must be one of {valid}')
    if name in _WHOLE and (not isinstance(value, numbers.Integral) or isinstance(value, bool)):
        raise InputError(f'{shown} {value!r}: it must be a whole number')
    if name in _REAL and not is_finite(value):
        raise InputError(f'{shown} {value!r}: it must be a finite number')
    if name in (*_WHOLE, *_REAL) and value < 0:
        raise InputError(f'{shown} {value!r}: it must not be negative')
    if name == 'devices' and value is not None:
        _check_devices(value, shown)
    if name in _SWITCHES and not isinstance(value, bool | np.bool_):
        raise InputError(f'{shown} {value!r}: it must be True or False')


def _check_devices(value: Any, shown: str) -> None:
    is_several = isinstance(value, list | tuple)
    if not is_several or not all(isinstance(device, jax.Device) for device in value):
        raise InputError(f'{shown} {value!r}: give a list of devices, such as jax.devices()[:1]')
    if len(set(value)) < len(value):
        raise InputError(f'{shown} {value!r}: it names a device twice')


def is_finite(value: Any) -> bool:
    """Returns whether a value is a number, and finite; True and False are none."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and -math.inf < value < math.inf
