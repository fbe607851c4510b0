"""A paper roofline: what a GPU's rates allow a kernel, before anything was measured.

The longest of its products at a part of the tensor cores' peak, its bytes from memory at 85% of the
peak and its bytes through the L2 cache. A launch takes LAUNCH at least.
"""

from typing import NamedTuple

from .device import A100, H100, H200, Gpu

MEMORY = 0.85  # of the peak
LAUNCH = 3e-6  # seconds


class Chip(NamedTuple):
    """Peak rates by the data sheets: bytes and operations a second; the cache's are measurements
    published for these chips, and so is the part of the tensor cores' peak that `mma.sync` gets,
    which takes its factors from registers. Shared memory gives 128 bytes a clock and
    multiprocessor."""

    gpu: Gpu
    memory: float
    cache: float
    half: float
    tf32: float
    shared: float
    mma: float


CHIPS = (
    Chip(H200, 4.8e12, 5.5e12, 989e12, 494e12, 29e12, 0.62),
    Chip(H100, 3.35e12, 5.5e12, 989e12, 494e12, 29e12, 0.62),
    Chip(A100, 2.04e12, 4.5e12, 312e12, 156e12, 19e12, 1.0),
)


class Work(NamedTuple):
    """What kernels do: operations of the tensor cores at a part of their peak, bytes from and to
    memory, through the L2 cache and through shared memory, and launches."""

    operations: float = 0.0
    part: float = 1.0
    memory: float = 0.0
    cache: float = 0.0
    launches: int = 1
    shared: float = 0.0


def min_seconds(work: Work, chip: Chip, dtype: str) -> float:
    """What some work takes on a chip, on paper."""
    peak = chip.tf32 if dtype == 'float32' else chip.half
    return max(
        work.operations / (work.part * peak),
        work.memory / (MEMORY * chip.memory),
        work.cache / chip.cache,
        work.shared / chip.shared,
        work.launches * LAUNCH,
    )


def nearest_chip(gpu: Gpu) -> Chip:
    """The chip of that name, or else the first that can do no more."""
    named = [chip for chip in CHIPS if chip.gpu.name == gpu.name]
    return next(chip for chip in (*named, *CHIPS) if gpu.capability >= chip.gpu.capability)
