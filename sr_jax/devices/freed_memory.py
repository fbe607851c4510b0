"""What a step frees, kept for the next one."""

import ctypes
import platform

import jax

from sr_jax.devices.cores import are_chosen

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Lets each step on a CPU take the memory that the one before has freed; returns whether so.

    XLA computes a step in one large piece of memory, which it frees at the end. glibc gives such
    pieces back to the system, and the next step waits for as many pages to be cleared: a tenth to a
    fifth of its time. So glibc is told to keep them, and JAX to compute in the thread that calls,
    since only the main thread's heap holds pieces of more than 64 MiB.

    To be called before JAX has devices, in the thread that trains. Nothing is changed with another
    C library than glibc or where a user has chosen devices; with a GPU all that is computed on the
    CPU beside it is computed in the thread that calls.
    """
    if are_chosen() or platform.libc_ver()[0] != 'glibc':
        return False
    jax.config.update('jax_cpu_enable_async_dispatch', False)
    if jax.default_backend() != 'cpu' or jax.local_device_count() != 1:
        return False
    adjust = ctypes.CDLL(None).mallopt
    return bool(adjust(_M_MMAP_MAX, 0) and adjust(_M_TRIM_THRESHOLD, -1))
