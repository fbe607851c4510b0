"""What modules gather of a batch in training, applied to their variables afterwards.

A module that follows its batches (a norm, a codebook) writes what an update needs as `statistics`
to a collection of its own. Those of several microbatches merge, and one update applies them, so
that k microbatches change the module as one large batch would.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax

NAME = 'statistics'

Update = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]


def of_each(update: Update, name: str, rank: int) -> Update:
    """Returns an update that is mapped over modules that `nn.scan` or `nn.vmap` has stacked.

    Args:
      update: of one module: see `apply_statistics`.
      name: of one of its variables.
      rank: axes of that variable; those before are of the stack.
    """

    def update_all(variables: Mapping[str, Any], statistics: Any) -> Mapping[str, Any]:
        if variables[name].ndim > rank:
            stacked: Mapping[str, Any] = jax.vmap(update_all)(variables, statistics)
            return stacked
        return update(variables, statistics)

    return update_all


def apply_statistics(
    update: Update,
    variables: Mapping[str, Any],
    statistics: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns a collection of variables after `update` of every module that gathered statistics.

    Args:
      update: (variables of a module, its statistics) -> its new variables.
      variables: the nested collection that the modules own.
      statistics: the nested collection that they wrote, of the same module names.
    """
    if NAME in statistics:
        return dict(update(variables, statistics[NAME]))
    changed = {
        name: apply_statistics(update, variables[name], part) for name, part in statistics.items()
    }
    return {**variables, **changed}
