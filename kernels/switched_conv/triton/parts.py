"""The GPU kernels apart: what a case's forward pass and each of its gradients take."""

from collections.abc import Callable
from typing import Any

import jax

from ..api import route
from ..cases import Case
from .block_sizes import BlockSizes
from .pallas import backward, forward

Call = Callable[[], Any]


def random_arguments(case: Case, dtype: str) -> tuple[Any, ...]:
    """Random x, selector, kernel, bias and cotangent of a case, drawn on the device."""
    pixels = (case.pictures, -(-case.height // case.stride), -(-case.width // case.stride))
    taps = (case.breadth, case.size, case.size, case.channels, case.features)
    keys = jax.random.split(jax.random.key(0), 5)
    x = jax.random.normal(keys[0], case[:4], dtype)
    selector = jax.random.randint(keys[1], pixels, 0, case.breadth, 'int32')
    kernel = jax.random.normal(keys[2], taps, dtype)
    bias = jax.random.normal(keys[4], (case.features,), dtype)
    cotangent = jax.random.normal(keys[3], (*pixels, case.features), dtype)
    return x, selector, kernel, bias, cotangent


def parts(
    case: Case, dtype: str, interpret: bool = False
) -> dict[str, Callable[[BlockSizes], Call]]:
    """For each part of a case a function that compiles it with block sizes and returns a call,
    which does not wait for its result: 'route', 'forward', 'grad_input', 'grad_kernel'."""
    implementation = 'pallas_interpret' if interpret else 'pallas'
    x, selector, kernel, _, cotangent = random_arguments(case, dtype)
    routing = route(selector, case.breadth, implementation=implementation)
    stride = case.stride

    def compiled(function, *arguments):
        step = jax.jit(function).lower(*arguments).compile()
        return lambda: step(*arguments)

    def of_route(_):
        return compiled(
            lambda s: route(s, case.breadth, implementation=implementation).arrays, selector
        )

    def of_forward(sizes):
        return compiled(
            lambda x, k, r: forward(x, k, None, r, stride, sizes, interpret), x, kernel, routing
        )

    def of_gradient(sizes, which):
        return compiled(
            lambda x, k, r, g: backward(x, k, r, stride, g, sizes, interpret)[which],
            *(x, kernel, routing, cotangent),
        )

    return {
        'route': of_route,
        'forward': of_forward,
        'grad_input': lambda sizes: of_gradient(sizes, 0),
        'grad_kernel': lambda sizes: of_gradient(sizes, 1),
    }
