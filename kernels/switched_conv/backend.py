"""The contract of the switched convolution's back ends."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from jax import lax
from jaxtyping import Array

from .routing import SEGMENT


class Backend(NamedTuple):
    """A way to compute switched convolutions. `api.BACKENDS` names them.

    `api.switched_conv` has checked all arguments, and says what is to come out: NaN too at pixels
    whose selector names no kernel. `routing`, below, is a `Routing` of the selector.

    Attributes:
      supports: (x, kernel, stride) -> None, or the reason why it cannot compute with these.
      forward: (x, kernel, bias or None, routing, stride, precision) -> y.
      backward: (x, kernel, routing, cotangent, stride, precision) -> gradients of x and kernel;
        None where JAX is to differentiate `forward`. Derivatives of these are derived from both.
      sort: (segments of a selector, breadth, block) -> kernels, pixels and positions, the very
        same as those of `routing.sort_segments`; None for a back end without a routing, which is
        given the selector in its place.
      segment: pixels that are sorted together, where the caller does not say how many.
    """

    supports: Callable[[Array, Array, int], str | None]
    forward: Callable[..., Array]
    backward: Callable[..., tuple[Array, Array]] | None = None
    sort: Callable[[Array, int, int], tuple[Array, Array, Array]] | None = None
    segment: int = SEGMENT


def support_all(x: Array, kernel: Array, stride: int) -> None:
    """`Backend.supports` of one that computes with whatever `switched_conv` takes."""


@functools.cache
def choose_by_platform(cuda: Backend, default: Backend) -> Backend:
    """One of two back ends, by the device that a program is compiled for."""
    return Backend(
        cuda.supports,
        _choose(cuda.forward, default.forward, arrays=4),
        _choose(cuda.backward, default.backward, arrays=4),
        _choose(cuda.sort, default.sort, arrays=1),
        cuda.segment,
    )


def _choose(cuda: Any, default: Any, arrays: int) -> Callable[..., Any]:
    """One of two functions, whose first arguments, so many, are arrays."""

    def call(*args):
        def bind(function):
            return lambda *given: function(*given, *args[arrays:])

        return lax.platform_dependent(*args[:arrays], cuda=bind(cuda), default=bind(default))

    return call
