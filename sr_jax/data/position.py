"""Where the data of a run is, as a checkpoint says it: looked at before it is believed."""

from collections.abc import Mapping
from typing import Any

from sr_jax.errors import InputError

_MAX_CROPS = 2**48  # no run takes as many; Grain's counting ends at 2**63


def check_position(state: Mapping[str, Any]) -> None:
    """Checks what `TrainIterator.set_state` is given.

    Raises:
      InputError: it is not what `TrainIterator.get_state` returns; says what is wrong.
    """
    crops, rejected = state.get('crops_taken'), state.get('rejected')
    if type(crops) is not int or not 0 <= crops < _MAX_CROPS:
        problem = 'crops_taken is no whole number, or none that can be'
    elif not isinstance(state.get('made_from'), Mapping):
        problem = 'made_from does not say what the crops are cut from'
    elif not isinstance(rejected, Mapping) or not all(map(_is_text, rejected.values())):
        problem = 'rejected does not give images with reasons'
    else:
        return
    raise InputError(
        f"the data's position in the checkpoint is of no use: {problem}. Resume from another "
        'checkpoint, or start again in another --workdir'
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
