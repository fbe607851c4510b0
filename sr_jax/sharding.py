"""The mesh of devices, and how state and batches lie on it."""

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
