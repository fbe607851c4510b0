"""What a run has saved."""

from typing import Any

import jax

from sr_jax import tasks
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.devices import sharding


def restored(workdir, step) -> Any:
    """The checkpoint of a step: `.tree`, every array and the random key, and `.data`, where the
    data was."""
    found = Checkpoints(workdir)
    mesh = sharding.make_mesh()
    whole = found.restore(
        step, lambda config: abstract_tree(tasks.make(config), mesh)
    )
    found.close()
    return whole._replace(tree=jax.device_get(whole.tree))
