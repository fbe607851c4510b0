"""The mesh of devices, and how state and batches lie on it.

Over the axis 'data' a batch is split and the state is held whole; over the axis 'fsdp', if there is
one, both are split: parameters, their averages and the optimiser's state lie in parts, and come
together where a step uses them (fully sharded data parallelism, Zhao et al., arXiv:2304.11277).
The devices may belong to several processes; each then holds the rows of a batch that are its own.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from sr_jax.devices.compiling import compiler_options
from sr_jax.errors import InputError

DATA_AXIS = 'data'
FSDP_AXIS = 'fsdp'

# Arrays of fewer elements are held whole: to gather a small one takes longer than it saves.
MIN_SPLIT = 1024


def make_mesh(devices: list | None = None, fsdp: int = 1) -> Mesh:
    """Returns a mesh over the given devices (default: all those of all processes).

    Its one axis is 'data'; with `fsdp` > 1 there is the axis 'fsdp' of so many neighbours as well.

    Raises:
      InputError: the devices do not split into groups of `fsdp`.
    """
    devices = devices or sorted(jax.devices(), key=lambda d: (d.process_index, d.id))
    if fsdp == 1:
        return Mesh(np.asarray(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))
    if len(devices) % fsdp:
        divisors = [n for n in range(1, len(devices) + 1) if len(devices) % n == 0]
        raise InputError(
            f'config.train.fsdp={fsdp} does not divide the {len(devices)} devices: take one of '
            + ', '.join(map(str, divisors))
        )
    grid = np.asarray(devices).reshape(-1, fsdp)
    return Mesh(grid, (DATA_AXIS, FSDP_AXIS), axis_types=(AxisType.Auto,) * 2)


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of arrays whose first axis is split over all the devices."""
    return NamedSharding(mesh, PartitionSpec(mesh.axis_names))


def layout(tree: PyTree, mesh: Mesh) -> PyTree:
    """Returns how the arrays of a train state lie: in the tree's structure, its shardings.

    Without an axis 'fsdp' each lies whole on every device. With it, each is split over that axis
    along the largest of its own axes that divides (the last of equal ones); those of fewer than
    MIN_SPLIT elements, or without such an axis, are whole.

    Args:
      tree: of anything with a shape.
      mesh: of `make_mesh`.
    """
    parts = dict(mesh.shape).get(FSDP_AXIS, 1)

    def of(shape: tuple[int, ...]) -> NamedSharding:
        divisible = [(n, axis) for axis, n in enumerate(shape) if n % parts == 0]
        if parts == 1 or not divisible or np.prod(shape) < MIN_SPLIT:
            return replicated_sharding(mesh)
        _, axis = max(divisible)
        return NamedSharding(mesh, PartitionSpec(*[None] * axis, FSDP_AXIS))

    return jax.tree.map(lambda x: of(x.shape), tree)


def check_batch_size(batch_size: int, mesh: Mesh, where: str) -> None:
    """Raises InputError unless the batch splits evenly over the devices."""
    devices = mesh.size
    if batch_size < 1 or batch_size % devices:
        nearest = max(round(batch_size / devices), 1) * devices
        raise InputError(
            f'{where}={batch_size} cannot be split over {devices} devices: '
            f'take a multiple of {devices}, such as {nearest}'
        )


def own_rows(mesh: Mesh, batch_size: int) -> slice:
    """Returns which images of a batch lie on this process's devices."""
    places = batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    spans = [place[0].indices(batch_size)[:2] for place in places if place is not None]
    return slice(min(first for first, _ in spans), max(last for _, last in spans))


def put_batch(batch: PyTree, mesh: Mesh) -> PyTree:
    """Puts this process's part of a batch of numpy arrays onto the devices, split by images."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def put_rows(batch: PyTree, mesh: Mesh) -> PyTree:
    """Puts a batch of numpy arrays that every process has whole onto the devices, split."""
    return put_batch(jax.tree.map(lambda x: x[own_rows(mesh, len(x))], batch), mesh)


def fetch_own(outputs: PyTree) -> PyTree:
    """Returns, as numpy arrays, this process's rows of arrays that are split by images."""

    def own(x: jax.Array) -> np.ndarray:
        if getattr(x, 'is_fully_addressable', True):
            return np.asarray(x)
        shards = sorted(x.addressable_shards, key=lambda shard: shard.index[0].start or 0)
        return np.concatenate([np.asarray(shard.data) for shard in shards])

    return jax.tree.map(own, outputs)


def fetch_all(outputs: PyTree) -> PyTree:
    """Returns, as numpy arrays, all rows of arrays that are split by images.

    Every process must call it.
    """
    if jax.process_count() == 1:
        return jax.device_get(outputs)
    return multihost_utils.process_allgather(outputs, tiled=True)


def jit_step(
    train_step: Callable, mesh: Mesh, shardings: PyTree | None = None, dtype: str = 'float32'
) -> Any:
    """Returns the jitted (tree, batch) -> (tree, metrics) of a task's training step.

    The tree is {'state': TrainState, 'rng': key data}, and is donated; the batch is split by
    images. Sums and means over the batch are global, since the step is written for the whole
    batch and XLA splits it.

    Args:
      train_step: of a task.
      mesh: of `make_mesh`.
      shardings: of the tree, see `layout`; None: it lies whole on every device.
      dtype: name of the type that the step computes in.
    """
    shardings = replicated_sharding(mesh) if shardings is None else shardings

    def step(tree: PyTree, batch: PyTree) -> tuple[PyTree, dict[str, jax.Array]]:
        rng = jax.random.wrap_key_data(tree['rng'])
        state, metrics = train_step(_gather_parameters(tree['state'], mesh), batch, rng)
        return {**tree, 'state': state}, metrics

    return jax.jit(
        step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated_sharding(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh.devices.flat[0], dtype),
    )


def _gather_parameters(state: Any, mesh: Mesh) -> Any:
    """Returns a state (or a dict of them) whose parameters are whole on every device while the step
    uses them.

    Left to itself, XLA may split a convolution by its channels instead, and exchange activations.
    """
    if FSDP_AXIS not in mesh.axis_names:
        return state

    def gather(part: Any) -> Any:
        used = {'params': part.params, 'variables': part.variables}
        whole = jax.lax.with_sharding_constraint(used, replicated_sharding(mesh))
        return part.replace(**whole)

    return jax.tree.map(gather, state, is_leaf=lambda part: hasattr(part, 'params'))


def jit_predict(predict: Callable, mesh: Mesh, dtype: str = 'float32') -> Any:
    """Returns the jitted (variables, batch, seed=0) -> outputs, which are split as the batch is.

    The variables lie whole on every device; the key that `predict` takes is made from the seed.
    `dtype` is the name of the type that it computes in.
    """
    split, everywhere = batch_sharding(mesh), replicated_sharding(mesh)

    def from_seed(variables: PyTree, batch: PyTree, seed: Any) -> PyTree:
        return predict(variables, batch, jax.random.key(seed))

    jitted = jax.jit(
        from_seed,
        in_shardings=(everywhere, split, everywhere),
        out_shardings=split,
        compiler_options=compiler_options(mesh.devices.flat[0], dtype),
    )
    return lambda variables, batch, seed=0: jitted(variables, batch, np.uint32(seed))


def replicate(variables: PyTree, mesh: Mesh) -> PyTree:
    """Returns arrays of `layout` as `jit_predict` takes them."""
    return jax.device_put(variables, replicated_sharding(mesh))
