"""The autoencoder whose codes a prior learns: which one it is, and whether it fits.

A prior is of no use with another stage 1 than the one whose codes it has seen. So a run writes the
network's fields and a fingerprint of what it has learned into its config, and codes on the disk
have that fingerprint beside them.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.models.protocols import Coder
from sr_jax.tasks.task import LoadedNetwork


@dataclasses.dataclass(frozen=True)
class Stage1Settings:
    """The section `config.stage_1`.

    Attributes:
      source: a run or a file of weights of an autoencoder that makes codes of images.
      network: its name and fields; a run fills them in.
      fingerprint: of what it has learned; a run fills it in.
    """

    source: str = 'runs/vqvae'
    network: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fingerprint: str = ''


def make_coder(network: LoadedNetwork) -> Any:
    """Returns the module of a loaded stage 1.

    Raises:
      InputError: it makes no codes.
    """
    module = models.make(network.model, f'the network of {network.source}')
    if not isinstance(module, Coder):
        raise InputError(
            f'{network.source} holds a network of the kind {network.model["name"]!r}, which makes '
            f'no codes of images: take one of {", ".join(models.names(Coder))}'
        )
    return module


def fingerprint(network: LoadedNetwork) -> str:
    """Returns 16 digits that tell a network from any other, by its name and all of its numbers."""
    digest = hashlib.sha256(str(network.model['name']).encode())
    for path, value in jax.tree.leaves_with_path(dict(network.variables)):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.ascontiguousarray(np.asarray(value)).tobytes())
    return digest.hexdigest()[:16]


def check_fingerprint(expected: str, found: str, what: str, source: str) -> None:
    """Raises InputError where two fingerprints differ.

    Args:
      expected: of the codes or of the run.
      found: of the stage 1 at hand.
      what: what `expected` belongs to, for the message.
      source: of the stage 1.
    """
    if expected != found:
        raise InputError(
            f'{what} is of a stage 1 with the fingerprint {expected}, and {source} has {found}: '
            'take the one that it was made with (--config.stage_1.source), or make it anew'
        )
