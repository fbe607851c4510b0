"""The GPU kernels apart: what a case's forward pass and each of its gradients take."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ...gpu.autotune import Call
from ...gpu.interpret import interpret
from ..api import route
from ..cases import Case, random_arguments
from .block_sizes import BlockSizes
from .devices import backward, compile_here, forward


def parts(
    case: Case, dtype: str, interpreted: bool = False, selector: Any = None
) -> dict[str, Callable[[BlockSizes], Call]]:
    """For each part of a case a function that compiles it with block sizes and returns a call,
    which does not wait for its result: route, forward, grad_input, grad_kernel. Selectors are
    random ones unless they are given."""
    implementation = 'triton_interpret' if interpreted else 'triton'
    launch = interpret if interpreted else compile_here
    x, drawn, kernel, _, cotangent = random_arguments(case, dtype)
    selector = drawn if selector is None else jnp.asarray(selector)
    routing = route(selector, case.breadth, implementation=implementation)
    stride = case.stride

    def build(function, *arguments):
        step = jax.jit(function).lower(*arguments).compile()
        return lambda: step(*arguments)

    def of_route(_):
        return build(
            lambda s: route(s, case.breadth, implementation=implementation).arrays, selector
        )

    def of_forward(sizes):
        return build(
            lambda x, k, r: forward(x, k, None, r, stride, sizes, launch), x, kernel, routing
        )

    def of_gradient(sizes, which):
        return build(
            lambda x, k, r, g: backward(x, k, r, g, stride, sizes, launch)[which],
            *(x, kernel, routing, cotangent),
        )

    return {
        'route': of_route,
        'forward': of_forward,
        'grad_input': lambda sizes: of_gradient(sizes, 0),
        'grad_kernel': lambda sizes: of_gradient(sizes, 1),
    }
