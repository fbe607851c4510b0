"""The GPU kernels behind one door, over the devices that share a batch.

Nothing here imports Triton before it is asked for kernels.
"""

import importlib.util
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32

from ...gpu import jax_triton
from ...gpu.device import A100, MIN_CAPABILITY, present_capability, present_gpu
from ...gpu.interpret import interpret
from ...gpu.launch import KernelCall, Launch, compile_for
from ...gpu.partitioning import split_over_devices
from ..backend import Backend
from ..routing import GPU_SEGMENT, SEGMENT, Routing
from .block_sizes import BlockSizes, Shape, block_sizes, fit_to_block
from .geometry import Arrays, geometry


def sort_segments(
    selector: Int32[Array, 'g s p'], breadth: int, block: int, launch: Launch
) -> Arrays:
    """`routing.sort_segments` by the GPU's kernels."""
    from . import sorting

    def sort(selector):
        return sorting.sort_segments(selector, breadth, block, launch)

    return split_over_devices(sort, (selector,))


def forward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Routing,
    stride: int,
    sizes: BlockSizes,
    launch: Launch,
) -> Float[Array, 'n h2 w2 o']:
    """The output, with these block sizes and by such calls of the kernels."""
    from .forward import forward as forward_kernels

    sizes = fit_to_block(sizes, routing.pixels.shape[-1])

    def convolve(x, kernels, pixels, positions, kernel, *bias):
        arrays = (kernels, pixels, positions)
        g = geometry(x.shape, kernel.shape, arrays, routing.segment, stride)
        return forward_kernels(x, kernel, bias[0] if bias else None, arrays, g, sizes, launch)

    whole = (kernel,) if bias is None else (kernel, bias)
    return split_over_devices(convolve, (x, *routing.arrays), whole)


def backward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    routing: Routing,
    cotangent: Float[Array, 'n h2 w2 o'],
    stride: int,
    sizes: BlockSizes,
    launch: Launch,
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'b k k c o']]:
    """The gradients of x and kernel, likewise."""
    from .weight import grad_kernel as grad_kernel_kernels

    grad_input = _import_design(sizes.input_design)
    segment = routing.segment
    sizes = fit_to_block(sizes, routing.pixels.shape[-1])

    def of_x(cotangent, kernels, pixels, positions, kernel):
        arrays = (kernels, pixels, positions)
        shape = (len(cotangent), *x.shape[1:])
        g = geometry(shape, kernel.shape, arrays, segment, stride)
        return grad_input(cotangent, kernel, arrays, g, sizes, launch)

    def of_kernel(x, cotangent, kernels, pixels, positions):
        arrays = (kernels, pixels, positions)
        g = geometry(x.shape, kernel.shape, arrays, segment, stride)
        return grad_kernel_kernels(x, cotangent, arrays, g, sizes, launch)

    grad_x = split_over_devices(of_x, (cotangent, *routing.arrays), (kernel,))
    grad_kernel = split_over_devices(of_kernel, (x, cotangent, *routing.arrays), summed=True)
    return grad_x.astype(x.dtype), grad_kernel.astype(kernel.dtype)


def _import_design(name: str) -> Callable[..., Array]:
    """The gradient of x by one of `block_sizes.INPUT_DESIGNS`."""
    if name == 'masked':
        from .masked import grad_input_by_masking

        return grad_input_by_masking
    if name == 'shared':
        from .shared import grad_input_in_shared_memory

        return grad_input_in_shared_memory
    from .unfold import grad_input_by_unfolding

    return grad_input_by_unfolding


def sizes_for(x: Array, kernel: Array, stride: int, precision: lax.Precision | None) -> BlockSizes:
    """The block sizes of a convolution on this process's GPU (an A100's where there is none)."""
    breadth, size, _, channels, features = kernel.shape
    shape = Shape(channels, features, breadth, size, stride, jnp.dtype(x.dtype).name)
    name = 'ieee' if precision == lax.Precision.HIGHEST else 'tf32'
    return block_sizes(shape, present_gpu() or A100, name)


def compile_here(call: KernelCall) -> tuple[Array, ...]:
    """Compiles a kernel for this process's GPU (an A100 where there is none)."""
    return compile_for((present_gpu() or A100).capability)(call)


def support_compiled(x: Array, kernel: Array, stride: int) -> str | None:
    """Why GPUs' kernels cannot compute with these, if they cannot."""
    capability = present_capability()
    if capability is not None and capability < MIN_CAPABILITY:
        return f'this GPU has compute capability {capability / 10}, and Triton wants 8.0'
    return support_interpreted(x, kernel, stride) or jax_triton.find_obstacle()


def support_interpreted(x: Array, kernel: Array, stride: int) -> str | None:
    """Why Triton's interpreter cannot compute with these, if it cannot."""
    del kernel, stride
    if x.dtype == jnp.float64:
        return 'x is float64'
    if importlib.util.find_spec('triton') is None:
        return 'triton is not installed (pip install triton)'
    return None


def make_backend(support: Callable[..., str | None], launch: Launch, segment: int) -> Backend:
    """The kernels as a back end, with the block sizes of the GPU at hand."""

    def forward_here(x, kernel, bias, routing, stride, precision):
        sizes = sizes_for(x, kernel, stride, precision)
        return forward(x, kernel, bias, routing, stride, sizes, launch)

    def backward_here(x, kernel, routing, cotangent, stride, precision):
        sizes = sizes_for(x, kernel, stride, precision)
        return backward(x, kernel, routing, cotangent, stride, sizes, launch)

    def sort_here(selector, breadth, block):
        return sort_segments(selector, breadth, block, launch)

    return Backend(support, forward_here, backward_here, sort_here, segment)


TRITON = make_backend(support_compiled, compile_here, GPU_SEGMENT)
TRITON_INTERPRET = make_backend(support_interpreted, interpret, SEGMENT)
