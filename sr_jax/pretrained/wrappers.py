"""What programs put around the arrays of a network: dictionaries in dictionaries, and prefixes."""

from collections.abc import Callable, Mapping
from typing import Any

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import shorten

# Under which programs keep the weights that are to be used; of several, the first one here.
KNOWN = (
    *('params_ema', 'params-ema', 'params', 'state_dict', 'model_state_dict', 'model', 'net'),
    *('g_ema', 'net_g_ema', 'net_g', 'netG', 'generator_ema', 'generator'),
)
MAX_DEPTH = 8  # of dictionaries in one another


def find_state(tree: Any, is_array: Callable[[Any], bool]) -> dict[str, Any]:
    """The arrays by name in what a checkpoint holds, whatever it keeps them under.

    Of several dictionaries of arrays that one is taken whose key is first in `KNOWN`; one alone
    whatever its key is.

    Args:
      tree: the checkpoint.
      is_array: tells arrays.

    Raises:
      InputError: there are several dictionaries of arrays, or none; names their keys.
    """
    known: dict[int, bool] = {}
    for _ in range(MAX_DEPTH):  # not for ever: a pickle can hold itself
        found = tree if isinstance(tree, Mapping) else {}
        inner = [key for key, value in found.items() if _holds_arrays(value, is_array, known)]
        taken = [key for key in KNOWN if key in inner] or inner
        if len(taken) > 1 and taken[0] not in KNOWN:
            raise InputError(
                f'the weights of several networks, under the keys {shorten(map(str, inner))}: save '
                'those of one of them in a file of its own'
            )
        if not taken:
            break
        tree = found[taken[0]]
    arrays = {str(key): value for key, value in found.items() if is_array(value)}
    if not arrays:
        raise InputError(f'no weights in it: its keys are {shorten(map(str, found))}')
    return arrays


def _holds_arrays(value: Any, is_array: Callable[[Any], bool], known: dict[int, bool]) -> bool:
    """Whether it is a dictionary with arrays by names, or with such a dictionary by a name.

    Those of an optimizer go by numbers. Each dictionary is looked at once, and noted in `known`.
    """
    if not isinstance(value, Mapping):
        return False
    if id(value) not in known:
        known[id(value)] = False
        named = [inner for key, inner in value.items() if isinstance(key, str)]
        found = (is_array(inner) or _holds_arrays(inner, is_array, known) for inner in named)
        known[id(value)] = any(found)
    return known[id(value)]


def cut_prefix(state: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arrays whose names begin with a prefix, without it; None if there is no such prefix.

    Of prefixes that are in `KNOWN` the first one counts, and arrays under others are left out; any
    other prefix must be that of all arrays.
    """
    prefixes = {name.partition('.')[0] for name in state if '.' in name}
    known = [prefix for prefix in KNOWN if prefix in prefixes]
    common = list(prefixes) if all('.' in name for name in state) else []
    if not known and len(common) != 1:
        return None
    prefix = f'{(known or common)[0]}.'
    return {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}
