"""Files of one's own, found by name as those of `sr_jax` are.

The environment variable SR_JAX_PATH names folders, separated as in PATH, that are laid out as the
package is. With SR_JAX_PATH=mine the file mine/models/tiny.py is the network 'tiny', as if it lay
in `sr_jax/models`; mine/tasks/, mine/losses/, mine/data/sources/, mine/pretrained/ and
mine/commands/ likewise. What a file of ours is called cannot be taken by another.
"""

import os
import pathlib
from collections.abc import Iterable

VARIABLE = 'SR_JAX_PATH'


def extend(path: Iterable[str], package: str) -> list[str]:
    """Returns where the modules of a package are looked for, ours first.

    Args:
      path: its `__path__`.
      package: its name, such as 'sr_jax.models'.
    """
    inside = pathlib.Path(*package.split('.')[1:])
    folders = filter(None, os.environ.get(VARIABLE, '').split(os.pathsep))
    own = (pathlib.Path(folder).expanduser().resolve() / inside for folder in folders)
    return [*path, *(str(folder) for folder in own if folder.is_dir())]
