"""The NVIDIA GPU at hand, and what is known of some."""

from typing import NamedTuple

import jax


class Gpu(NamedTuple):
    """A GPU: its name as JAX gives it, compute capability times 10, and bytes of L2 cache."""

    name: str
    capability: int
    cache: int


A100 = Gpu('NVIDIA A100-SXM4-80GB', 80, 40 * 2**20)
L4 = Gpu('NVIDIA L4', 89, 48 * 2**20)
H100 = Gpu('NVIDIA H100 80GB HBM3', 90, 50 * 2**20)
H200 = Gpu('NVIDIA H200', 90, 60 * 2**20)
B200 = Gpu('NVIDIA B200', 100, 126 * 2**20)
MIN_CAPABILITY = 80  # Triton's


def shared_memory(capability: int) -> int:
    """Bytes that a block of threads may have: data-centre chips have more than the others."""
    return {80: 163, 87: 163, 90: 227, 100: 227, 103: 227}.get(capability, 99) * 1024


def present_gpu() -> Gpu | None:
    """The NVIDIA GPU that this process computes on, if it does, and Triton can compile for it."""
    capability = present_capability()
    if capability is None or capability < MIN_CAPABILITY:
        return None
    name = jax.devices()[0].device_kind
    known = {gpu.name: gpu for gpu in (A100, L4, H100, H200, B200)}
    if name in known:
        return known[name]
    like = {A100.capability: A100, L4.capability: L4, B200.capability: B200}.get(capability, H100)
    return Gpu(name, capability, like.cache)


def present_capability() -> int | None:
    """Ten times the compute capability of the NVIDIA GPU of this process, if it has one."""
    device = jax.devices()[0]
    if device.platform != 'gpu' or 'cuda' not in device.client.platform_version:
        return None
    return round(10 * float(device.compute_capability))
