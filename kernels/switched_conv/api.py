"""The one door to the switched convolution: checks, and the choice of a back end."""

import functools
import logging
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int32

from ..gpu.device import present_gpu
from ..gpu.jax_triton import find_obstacle
from ..mesh_axes import leave_to_compiler, vary_equally
from .backend import Backend, choose_by_platform
from .reference import REFERENCE
from .routing import Routing, route_by, sort_segments
from .triton.devices import TRITON, TRITON_INTERPRET
from .vjp import convolve
from .xla.blocks import XLA

# All that is known of back ends: an entry more is one more that can be asked for, and is tested.
BACKENDS: dict[str, Backend] = {
    'xla': XLA,
    'reference': REFERENCE,
    'triton': TRITON,
    'triton_interpret': TRITON_INTERPRET,
}
IMPLEMENTATIONS = tuple(BACKENDS)
MAX_BREADTH = 256
MAX_KERNEL_SIZE = 7

_DTYPES = ('float32', 'bfloat16', 'float16', 'float64')


def switched_conv(
    x: Float[Array, 'n h w c'],
    selector: Int32[Array, 'n h2 w2'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None = None,
    stride: int = 1,
    implementation: str | None = None,
    routing: Routing | None = None,
    precision: lax.Precision | str | None = None,
) -> Float[Array, 'n h2 w2 o']:
    """Cross-correlate x, at every output pixel with the kernel that the selector names there.

    y[n, i, j] = bias + sum over u, v of x[n, s i + u - k // 2, s j + v - k // 2]
    @ kernel[selector[n, i, j], u, v], with zeros around x. The output has ceil(size / stride)
    pixels a side, and the type of x; sums are taken in float32 at least. Gradients go to x,
    kernel and bias, by reverse mode and as often as one likes, none to the selector. Equation 1
    of the article on switched convolutions (nonint.com, 2021) for a hard selector.

    A selector value outside 0 .. b - 1 is an error where the values are known. Under jit they are
    not: such pixels become NaN, and pass no gradient to x and kernel.

    Args:
      x: images or features; float32, bfloat16 or float16 (float64 where JAX has it enabled).
      selector: index of a kernel for each output pixel.
      kernel: 1 to 256 kernels, k odd, 1 to 7, of the type of x.
      bias: added at every pixel, whichever kernel it has; of the type of x.
      stride: step along each side, at least 1.
      implementation: None takes 'triton' where the process has jax-triton and an NVIDIA GPU of
        compute capability 8.0 or more, and the computation is compiled for it, and 'xla' elsewhere
        and for float64. 'triton' is for such GPUs only; 'triton_interpret' runs the same kernels
        without one, very slowly. 'reference' is the specification.
      routing: `route(selector, b)`, for layers that share a selector; it must be of this selector,
        which cannot be checked. Computed when not given, and ignored by back ends without one.
      precision: of float32 products on GPUs, as in `jax.lax.dot`: tensor cores round the factors to
        TF32, unless 'highest' asks for IEEE float32. The default is that of
        `jax.default_matmul_precision`.

    Raises:
      ValueError: an argument has the wrong shape, type or value.
    """
    x, selector, kernel, bias = jax.tree.map(jnp.asarray, (x, selector, kernel, bias))
    _check_stride(stride)
    _check_kernel(x, kernel, bias)
    _check_selector(x, selector, kernel.shape[0], stride)
    backend = _find_backend(implementation, x, kernel, stride)
    precise = _find_precision(precision)

    def compute(x, selector, kernel, bias, routing):
        pixels: Routing | Array = selector
        if backend.sort is not None:
            pixels = _route_or_check(routing, selector, kernel.shape[0], implementation)
        x, kernel, bias, pixels = vary_equally((x, kernel, bias, pixels))
        return convolve(x, kernel, bias, pixels, stride, backend, precise)

    return leave_to_compiler(compute, x, selector, kernel, bias, routing)


def _route_or_check(
    routing: Routing | None, selector: Array, breadth: int, implementation: str | None
) -> Routing:
    if routing is None:
        return route(selector, breadth, implementation=implementation)
    _check_routing(routing, selector, breadth)
    return routing


def route(
    selector: Int32[Array, 'n h w'],
    breadth: int,
    block: int | None = None,
    groups: int | None = None,
    segment: int | None = None,
    implementation: str | None = None,
) -> Routing:
    """Sort the pixels of a selector by kernel, once for all layers that share it.

    Args:
      selector: index of a kernel for each output pixel; pixels outside 0 .. breadth - 1 get none.
      breadth: number of kernels.
      block: pixels in a block (default: chosen by the pixels that a kernel has on average).
      groups: equal runs of images that are sorted apart. Where devices share the batch, it must
        be a multiple of their number, lest they exchange pixels. The default is the greatest
        common divisor of the images and the devices that XLA might split them over.
      segment: pixels sorted together (default: 16384, on GPUs 32768); less memory and more padding
        when fewer.
      implementation: that sorts, as in `switched_conv`; the result does not depend on it.

    Raises:
      ValueError: the images cannot be split into so many equal groups.
    """
    backend = _find_backend(implementation)
    segment = backend.segment if segment is None else segment
    sort = backend.sort or sort_segments
    return leave_to_compiler(
        lambda selector: route_by(selector, breadth, block, groups, segment, sort), selector
    )


def _find_backend(implementation: str | None, *arguments: Any) -> Backend:
    """The back end of this name, or the best, for these arguments of `Backend.supports`.

    GPUs are asked for only where the process has one, so that no CPU program carries their code.
    """
    if implementation is None:
        plain, fast = BACKENDS['xla'], BACKENDS['triton']
        if present_gpu() is None:
            return plain
        obstacle = find_obstacle()
        if obstacle:
            _say_once(f"switched convolutions take 'xla' on this GPU: {obstacle}")
        if obstacle or (arguments and fast.supports(*arguments)):
            return plain
        return choose_by_platform(cuda=fast, default=plain)
    if implementation not in BACKENDS:
        known = ', '.join(map(repr, BACKENDS))
        raise ValueError(f'implementation {implementation!r} is unknown: take one of {known}')
    backend = BACKENDS[implementation]
    reason = backend.supports(*arguments) if arguments else None
    if reason is not None:
        able = [name for name, other in BACKENDS.items() if other.supports(*arguments) is None]
        known = ', '.join(map(repr, able))
        raise ValueError(
            f'implementation {implementation!r} cannot compute this, for {reason}: take one of '
            f'{known}'
        )
    return backend


@functools.cache
def _say_once(line: str) -> None:
    logging.getLogger(__name__).warning(line)


def _find_precision(precision: lax.Precision | str | None) -> lax.Precision | None:
    """What is asked for, or JAX's default where that is one of these."""
    if precision is not None:
        try:
            return lax.Precision(precision)
        except ValueError:
            known = ', '.join(repr(value.name.lower()) for value in lax.Precision)
            raise ValueError(f'precision {precision!r} is unknown: take one of {known}') from None
    default = jax.config.jax_default_matmul_precision
    return lax.Precision.HIGHEST if default in ('highest', 'float32') else None


def _check_stride(stride: int) -> None:
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
        raise ValueError(f'stride must be a whole number of at least 1, not {stride!r}')


def _check_kernel(x: Array, kernel: Array, bias: Array | None) -> None:
    if x.ndim != 4 or 0 in x.shape:
        raise ValueError(f'x must be [n, h, w, c] without empty axes, not {list(x.shape)}')
    if kernel.ndim != 5 or 0 in kernel.shape:
        raise ValueError(
            f'kernel must be [b, k, k, c, o] without empty axes, not {list(kernel.shape)}; '
            'a dense kernel becomes one by kernel[None]'
        )
    breadth, height, width, channels, features = kernel.shape
    if height != width or height % 2 == 0 or height > MAX_KERNEL_SIZE:
        raise ValueError(
            f'kernel must be square and odd, 1 to {MAX_KERNEL_SIZE} taps a side, not '
            f'{height} x {width}: pad an even one with zeros to the next odd size'
        )
    if breadth > MAX_BREADTH:
        raise ValueError(f'kernel holds {breadth} kernels, more than {MAX_BREADTH}')
    if channels != x.shape[3]:
        raise ValueError(f'kernel takes {channels} channels, but x has {x.shape[3]}')
    if x.dtype.name not in _DTYPES:
        raise ValueError(f'x is {x.dtype}: cast it to one of {", ".join(_DTYPES)}')
    if kernel.dtype != x.dtype:
        raise ValueError(f'kernel is {kernel.dtype} but x is {x.dtype}: cast one of them')
    if bias is not None and (bias.shape != (features,) or bias.dtype != x.dtype):
        raise ValueError(
            f'bias must be {x.dtype}[{features}], as x and kernel say, not '
            f'{bias.dtype}{list(bias.shape)}'
        )


def _check_selector(x: Array, selector: Array, breadth: int, stride: int) -> None:
    expected = (x.shape[0], -(-x.shape[1] // stride), -(-x.shape[2] // stride))
    if selector.shape != expected:
        raise ValueError(
            f'selector must be {list(expected)}, one index for each output pixel of x '
            f'{list(x.shape)} at stride {stride}, not {list(selector.shape)}'
        )
    if selector.dtype != jnp.int32:
        raise ValueError(f'selector is {selector.dtype}: give selector.astype(jnp.int32)')
    padded = (x.shape[1] + MAX_KERNEL_SIZE) * (x.shape[2] + MAX_KERNEL_SIZE) * x.shape[0]
    if padded >= 2**31:
        raise ValueError(
            f'x {list(x.shape)} has more pixels than int32 can count: split the batch or the images'
        )
    if not isinstance(selector, jax.core.Tracer):
        values = np.asarray(selector)
        wrong = values[(values < 0) | (values >= breadth)]
        if wrong.size:
            raise ValueError(
                f'selector holds {wrong[0]}, but kernel has {breadth} kernels: '
                f'values must be 0 to {breadth - 1}'
            )


def _check_routing(routing: Routing, selector: Array, breadth: int) -> None:
    if routing.shape != selector.shape or routing.breadth != breadth:
        raise ValueError(
            f'routing is of a selector {list(routing.shape)} for {routing.breadth} kernels, but '
            f'selector is {list(selector.shape)} and kernel has {breadth}: give '
            'route(selector, kernel.shape[0])'
        )
