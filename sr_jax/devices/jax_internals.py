"""What of JAX's own runtime has no public door: nothing else here imports `jax._src`.

`tests/devices/test_jax_internals.py` says what is needed of each, so that a JAX that has changed it
is told there.
"""

from typing import Any, NamedTuple

from jax._src import distributed


class Runtime(NamedTuple):
    """How this process belongs to others, known before there are devices.

    Attributes:
      client: of the runtime's store of keys and values, and of its barriers; None before there is
        one.
      coordinator: 'host:port' of process 0, or None.
      process: index of this one.
      processes: how many there are.
    """

    client: Any
    coordinator: str | None
    process: int
    processes: int


def read_runtime() -> Runtime:
    """Returns what JAX's runtime knows of this process now."""
    state = distributed.global_state
    return Runtime(
        state.client, state.coordinator_address, state.process_id, state.num_processes
    )
