"""Whose weights a state dictionary holds, told by the names and shapes of its arrays."""

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained import (
    alexnet,
    discriminators,
    inception,
    layouts,
    rrdb,
    srflow,
    srresnet,
    srvgg,
    vgg,
    vqvae,
)

# A name that only weights of that network have; the first that is found tells.
SIGNS = (
    (srflow, r'flowUpsamplerNet\.layers\.\d+\.invconv\.weight'),
    (rrdb, r'(body|RRDB_trunk|model\.1\.sub)\.0\.(rdb|RDB)1\.conv1(\.0)?\.weight'),
    (srresnet, r'body\.0\.conv1\.weight'),
    (discriminators, r'conv0_0\.weight|conv1\.weight_orig'),
    (vqvae, r'quantize_t\.embed'),
    (inception, r'Mixed_5b\.branch1x1\.conv\.weight'),
    (alexnet, r'features\.6\.weight'),  # in a VGG, that is a pooling or an activation
    (vgg, r'features\.0\.weight'),
    (srvgg, r'body\.0\.weight'),
)


class Recognized(NamedTuple):
    """What `recognize` found.

    Attributes:
      model: as in a config's section 'model': the network's name in `sr_jax.models`, its fields.
      variables: its collections, float32.
    """

    model: dict[str, Any]
    variables: dict[str, Any]


def recognize(state: Mapping[str, Any], source: str) -> Recognized:
    """The network of a foreign state dictionary, with its hyper-parameters, and its variables.

    Args:
      state: arrays by name; may be nested under 'params_ema' or 'params'.
      source: what messages call it, such as the file's path.

    Raises:
      InputError: no network that is known here has such arrays, or some are missing or unknown.
    """
    state = layouts.plain(state)
    for module, sign in SIGNS:
        if any(re.fullmatch(sign, name) for name in state):
            return _read(module, state, source)
    known = ', '.join(sorted(model_name(module) for module, _ in SIGNS))
    raise InputError(
        f'{source}: the weights of no network that is known here ({known}); its arrays are '
        f'{layouts.shown(state)}'
    )


def foreign_names(name: str, variables: Mapping[str, Any], source: str) -> dict[str, np.ndarray]:
    """The state dictionary in the names of the original for the variables of a network.

    Args:
      name: of the network in `sr_jax.models`.
      variables: its collections.
      source: what messages call it.

    Raises:
      InputError: there is no original of this network, or it has no such layers.
    """
    modules = {model_name(module): module for module, _ in SIGNS}
    if name not in modules:
        raise InputError(
            f'{source}: {name} is a network of ours, without an original whose names its arrays '
            f'could bear; there are originals of {", ".join(sorted(modules))}'
        )
    try:
        return modules[name].to_torch(variables)
    except InputError as error:
        raise InputError(f'{source}: {error}') from error


def model_name(module: ModuleType) -> str:
    """The name in `sr_jax.models` of the network whose weights a module of this room reads."""
    return module.__name__.rpartition('.')[2]


def _read(module: ModuleType, state: Mapping[str, np.ndarray], source: str) -> Recognized:
    try:
        model = {'name': model_name(module), **module.model_fields(state)}
        return Recognized(model, module.from_torch(state))
    except InputError as error:
        raise InputError(f'{source}: {error}') from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # what arithmetic with the shapes of damaged arrays comes to
        raise InputError(
            f'{source}: not the weights of {model_name(module)}: an array has another shape than '
            f'it should ({error})'
        ) from error
