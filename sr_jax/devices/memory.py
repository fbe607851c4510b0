"""A large batch on a small device: the microbatch, accumulation and rematerialisation to use.

The memory of a step is not guessed: each candidate is compiled and XLA says what it needs.
"""

import contextlib
import functools
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from sr_jax.errors import InputError

REMAT_COST = 4 / 3  # one more forward pass beside a forward and a backward of twice its cost
FIXED_COST = 1.0  # of a microbatch, in images: small ones leave a device's cores idle


class Plan(NamedTuple):
    """How an update of `batch_size * accumulation` images is computed.

    Attributes:
      batch_size: images of a microbatch, over all devices.
      accumulation: microbatches of an update.
      remat: whether activations are recomputed.
      bytes: memory of one device that the compiled step takes.
    """

    batch_size: int
    accumulation: int
    remat: bool
    bytes: int


def device_memory() -> int:
    """Returns the bytes that a step may take on one device.

    On a CPU: the machine's available memory shared by the host devices.

    Raises:
      InputError: the device does not tell; names the config key to set.
    """
    device = jax.local_devices()[0]
    stats = device.memory_stats() or {}
    if 'bytes_limit' in stats:
        return int(stats['bytes_limit'])
    if device.platform == 'cpu':
        return host_memory() // jax.local_device_count()
    raise InputError(
        f'{device} does not tell how much memory it has: set config.train.memory_limit (bytes)'
    )


def host_memory() -> int:
    """Returns the bytes that the machine can still give, what it keeps of files included."""
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            for line in file:
                if line.startswith('MemAvailable:'):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux
    return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def check_room(shapes: PyTree) -> None:
    """Looks whether what is about to be made can be held.

    Args:
      shapes: of arrays, each with its sharding.

    Raises:
      InputError: one device has too little memory for its part of the state of a training.
    """
    needed = sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize
        for x in jax.tree.leaves(shapes)
    )
    free = math.inf
    with contextlib.suppress(InputError):  # a device that does not tell
        free = device_memory()
    if needed > free:
        raise InputError(
            f'the networks and what the optimizers keep of them take {in_words(needed)} on each '
            f'device, and {in_words(int(free))} are free: take networks of fewer or smaller '
            'layers, in the sections of the config such as config.model'
        )


def compiled_bytes(compiled: Any) -> int:
    """Returns the memory of one device that a compiled function takes: all that lives at once."""
    stats = compiled.memory_analysis()
    return int(
        stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        - stats.alias_size_in_bytes
        + stats.temp_size_in_bytes
        + stats.generated_code_size_in_bytes
    )


def choose(
    effective_batch_size: int,
    devices: int,
    limit: int,
    measure: Callable[[int, int, bool], int],
    report: Callable[[str], None],
) -> Plan:
    """Returns the cheapest plan whose compiled step fits into the memory.

    The largest microbatch that fits is found by bisection, with rematerialisation and without;
    of the two the one of lower cost (m + FIXED_COST) / m * (REMAT_COST if remat), for m images
    of a device in a microbatch, is taken.

    Args:
      effective_batch_size: images of one update.
      devices: over which a batch is split.
      limit: bytes of one device.
      measure: (batch_size, accumulation, remat) -> bytes of the compiled step.
      report: is given a line about each candidate, and the choice.

    Raises:
      InputError: the batch does not split over the devices, or even one image a device with
        rematerialisation does not fit; says what would.
    """
    per_device = effective_batch_size // devices
    if effective_batch_size % devices or not per_device:
        raise InputError(
            f'config.train.effective_batch_size={effective_batch_size} cannot be split over '
            f'{devices} devices: take a multiple of {devices}'
        )

    def attempt(remat: bool, size: int) -> Plan:
        plan = Plan(size * devices, per_device // size, remat, 0)
        plan = plan._replace(bytes=measure(*plan[:3]))
        verdict = 'fits' if plan.bytes <= limit else 'too large'
        report(f'{describe(plan)}: {verdict}')
        return plan

    sizes = [m for m in range(1, per_device + 1) if per_device % m == 0]
    fitting = _find_fitting(sizes, attempt, limit)
    chosen = min(fitting, key=lambda plan: _cost(plan, devices))
    report(
        f'chosen for {effective_batch_size} images an update in {in_words(limit)}: '
        f'{describe(chosen)}, the cheapest that fits'
    )
    return chosen


def _find_fitting(
    sizes: list[int], attempt: Callable[[bool, int], Plan], limit: int
) -> list[Plan]:
    """Returns the plan of the largest size that fits, without rematerialisation and with it.

    The second is left out where the first needs no accumulation.

    Raises:
      InputError: neither fits; says how large the smallest one is.
    """
    smallest: list[Plan] = []
    fitting: list[Plan] = []
    for remat in (False, True):
        best, least = _find_largest(sizes, functools.partial(attempt, remat), limit)
        smallest.append(least)
        if best is not None:
            fitting.append(best)
            if best.accumulation == 1:
                break
    if not fitting:
        least = min(smallest, key=lambda plan: plan.bytes)
        raise InputError(
            f'a step does not fit into {in_words(limit)} of memory: the smallest takes '
            f'{in_words(least.bytes)} ({describe(least)}). Take a smaller config.data.crop_size or '
            'model, or raise config.train.memory_limit'
        )
    return fitting


def _find_largest(
    sizes: list[int], attempt: Callable[[int], Plan], limit: int
) -> tuple[Plan | None, Plan]:
    """Returns the plan of the largest size that fits (or None), and the smallest one tried."""
    tried: dict[int, Plan] = {}
    low, high = 0, len(sizes)  # sizes[:low] fit, sizes[high:] do not
    middle = len(sizes) - 1
    while low < high:
        plan = tried[sizes[middle]] = attempt(sizes[middle])
        if plan.bytes <= limit:
            low = middle + 1
        else:
            high = middle
        middle = (low + high) // 2
    return (tried[sizes[low - 1]] if low else None), tried[min(tried)]


def _cost(plan: Plan, devices: int) -> float:
    images = plan.batch_size / devices
    return (images + FIXED_COST) / images * (REMAT_COST if plan.remat else 1.0)


def describe(plan: Plan) -> str:
    """Returns a plan in words."""
    remat = 'with' if plan.remat else 'without'
    return (
        f'batch_size {plan.batch_size} x accumulation {plan.accumulation}, {remat} remat, '
        f'{in_words(plan.bytes)}'
    )


def in_words(count: int) -> str:
    """Returns so many bytes in a unit in which they are not nothing."""
    if count >= 2**28:
        return f'{count / 2**30:.2f} GiB'
    if count >= 2**18:
        return f'{count / 2**20:.1f} MiB'
    return f'{count / 2**10:.1f} KiB' if count >= 2**8 else f'{count} bytes'
