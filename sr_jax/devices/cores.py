"""The cores of a CPU, and devices made of them."""

import os

import jax

MOST_DEVICES = 8  # each takes memory of its own
FLAG = '--xla_force_host_platform_device_count'


def count_cores() -> int:
    """Returns how many cores this process may run on."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def are_chosen() -> bool:
    """Whether a user has said how many devices are made of the CPU."""
    return 'JAX_NUM_CPU_DEVICES' in os.environ or FLAG in os.environ.get('XLA_FLAGS', '')


def split_cpu() -> None:
    """Makes a device of each core of the CPU, at most `MOST_DEVICES`.

    Frames or windows that do not depend on each other are computed sooner so than by cores that
    share each. Nothing is changed where a user has said how many devices there are, or where JAX
    has its devices already.
    """
    if are_chosen():
        return
    try:
        jax.config.update('jax_num_cpu_devices', min(count_cores(), MOST_DEVICES))
    except RuntimeError:  # there are devices already
        return
