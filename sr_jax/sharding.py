"""The mesh of devices, and how state and batches lie on it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from sr_jax.errors import InputError

DATA_AXIS = 'data'


def make_mesh(devices: list | None = None) -> Mesh:
    """Returns a mesh with one axis, 'data', over the given devices (default: all)."""
    devices = devices or jax.devices()
    return Mesh(np.asarray(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of arrays whose first axis is split over the data axis."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def check_batch_size(batch_size: int, mesh: Mesh, where: str) -> None:
    """Raises InputError unless the batch splits evenly over the devices."""
    devices = mesh.size
    if batch_size < 1 or batch_size % devices:
        nearest = max(round(batch_size / devices), 1) * devices
        raise InputError(
            f'{where}={batch_size} cannot be split over {devices} devices: '
            f'take a multiple of {devices}, such as {nearest}'
        )


def put_batch(batch: PyTree, mesh: Mesh) -> PyTree:
    """Puts this process's part of a batch of numpy arrays onto the devices, split by pictures."""
    sharding = over_batch(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def jit_step(train_step: Callable, mesh: Mesh) -> Any:
    """Returns the jitted (tree, batch) -> (tree, metrics) of a task's training step.

    The tree is {'state': TrainState, 'rng': key data}. It is donated and lies whole on every
    device; the batch is split by pictures. Sums and means over the batch are global, since the
    step is written for the whole batch and XLA splits it.
    """

    def step(tree: PyTree, batch: PyTree) -> tuple[PyTree, dict[str, jax.Array]]:
        rng = jax.random.wrap_key_data(tree['rng'])
        state, metrics = train_step(tree['state'], batch, rng)
        return {**tree, 'state': state}, metrics

    return jax.jit(
        step,
        in_shardings=(replicated(mesh), over_batch(mesh)),
        out_shardings=replicated(mesh),
        donate_argnums=0,
        compiler_options=_compiler_options(mesh),
    )


def _compiler_options(mesh: Mesh) -> dict[str, str] | None:
    """Returns what makes rematerialisation save memory on CPUs before JAX 0.12.

    XLA dropped the barriers there before it merged equal expressions, so that the recomputed
    activations were the kept ones again.
    """
    if mesh.devices.flat[0].platform == 'cpu' and jax.__version_info__ < (0, 12):
        return {'xla_disable_hlo_passes': 'cse_barrier_expander'}
    return None


def jit_predict(predict: Callable, mesh: Mesh) -> Any:
    """Returns the jitted (variables, batch) -> outputs, the batch split by pictures."""
    return jax.jit(predict, in_shardings=(replicated(mesh), over_batch(mesh)))
