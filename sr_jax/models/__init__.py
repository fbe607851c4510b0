"""Networks, one a file; each file exports its linen module as `Model`."""

from typing import Any

from flax import linen as nn

from sr_jax.config.binding import Section, bind, find_module
from sr_jax.config.extension import extend

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
    module = find_module('sr_jax.models', values.pop('name', ''), f'{where}.name', 'Model')
    return bind(module.Model, {**values, **fields}, where)
