"""A train state whose equal blocks are one tree of longer arrays, for steps compiled sooner.

Networks apply such blocks as a loop (`sr_jax.layers.repeated`), and the optimizer updates them as
one. A checkpoint holds them one by one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from sr_jax.devices import sharding
from sr_jax.layers.repeated import Loops, stack_loops, unstack_loops
from sr_jax.tasks.task import State, Task, TrainState, Variables, parameters


class Stacking(NamedTuple):
    """How a state is stacked.

    Attributes:
      loops: of each network that has any.
      mesh: the devices, on each of which it lies whole.
    """

    loops: Mapping[str, Loops]
    mesh: Mesh

    @classmethod
    def of(cls, task: Task, mesh: Mesh) -> 'Stacking':
        """Returns that of a task, by which nothing is stacked but on CPUs of one process.

        Elsewhere a loop was not measured; and a state in parts is not one that a process has whole.
        """
        whole = jax.process_count() == 1 and sharding.FSDP_AXIS not in mesh.axis_names
        on_cpus = mesh.devices.flat[0].platform == 'cpu'
        return cls(task.loops if whole and on_cpus else {}, mesh)

    def stack(self, state: State) -> State:
        """Returns a state with its blocks stacked: parameters, their average and what the optimizer
        keeps of each."""
        return self._change(state, stack_loops)

    def stack_variables(self, task: Task, variables: Variables) -> Variables:
        """Returns variables that a task predicts with, with the blocks of its network stacked."""
        loops = self.loops.get(next(iter(task.networks)), {})
        if not loops:
            return variables
        return {**variables, 'params': self._put(stack_loops(variables['params'], loops))}

    def unstack(self, state: State) -> State:
        """Returns what `stack` was given."""
        return self._change(state, unstack_loops)

    def names(self, state: State) -> list[str]:
        """Returns how the parameters of a stacked state are called one by one, as they have flags
        in the metrics of a step."""
        params = parameters(state)
        if isinstance(state, TrainState):
            return _names(params, self._of_one_network())
        return [
            f'{network}/{name}'
            for network in sorted(params)
            for name in _names(params[network], self.loops.get(network, {}))
        ]

    def _change(self, state: State, change: Callable[[Any, Loops], Any]) -> State:
        if isinstance(state, TrainState):
            return self._change_one(state, self._of_one_network(), change)
        return {
            name: self._change_one(part, self.loops.get(name, {}), change)
            for name, part in state.items()
        }

    def _of_one_network(self) -> Loops:
        """The loops of a task that has no more networks."""
        return next(iter(self.loops.values()), {})

    def _change_one(
        self, state: TrainState, loops: Loops, change: Callable[[Any, Loops], Any]
    ) -> TrainState:
        names = state.params.keys()

        def is_of_all(node: Any) -> bool:
            return isinstance(node, Mapping) and node.keys() == names

        def change_all(node: PyTree) -> PyTree:
            return self._put(change(node, loops)) if is_of_all(node) else node

        return jax.tree.map(change_all, state, is_leaf=is_of_all) if loops else state

    def _put(self, tree: PyTree) -> PyTree:
        """Puts what are NumPy's arrays on the devices, as copies: others may be views of it."""

        def put(x: Any) -> jax.Array:
            return jax.device_put(x.copy(), place) if isinstance(x, np.ndarray) else x

        place = sharding.replicated_sharding(self.mesh)
        return jax.tree.map(put, tree)


def _names(params: Mapping[str, Any], loops: Loops) -> list[str]:
    def name(path: Any, _: Any) -> np.ndarray:
        return np.asarray(jax.tree_util.keystr(path, simple=True, separator='/'), object)

    names = stack_loops(jax.tree.map_with_path(name, unstack_loops(params, loops)), loops)
    return [name for together in jax.tree.leaves(names) for name in together.ravel()]
