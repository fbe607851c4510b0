"""The switched convolution on NVIDIA GPUs, over the devices that share a batch."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32

from ...gpu.device import A100, present_gpu
from ...gpu.partitioning import split_over_devices
from ..backend import Backend
from ..routing import GPU_SEGMENT, SEGMENT, Routing
from . import sorting
from .block_sizes import BlockSizes, Shape, block_sizes, fit_to_block
from .forward import forward as forward_kernels
from .geometry import Arrays, geometry
from .masked import grad_input_by_masking
from .unfold import grad_input_by_unfolding
from .weight import grad_kernel as grad_kernel_kernels

INPUT_DESIGNS = {'unfold': grad_input_by_unfolding, 'masked': grad_input_by_masking}


def sort_segments(
    selector: Int32[Array, 'g s p'], breadth: int, block: int, interpret: bool
) -> Arrays:
    """`routing.sort_segments` by the GPU's kernels."""

    def sort(selector):
        return sorting.sort_segments(selector, breadth, block, interpret)

    return split_over_devices(sort, (selector,))


def forward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Routing,
    stride: int,
    sizes: BlockSizes,
    interpret: bool = False,
) -> Float[Array, 'n h2 w2 o']:
    """The output, with these block sizes; `interpret` runs the kernels without a GPU, slowly."""
    sizes = fit_to_block(sizes, routing.pixels.shape[-1])

    def convolve(x, kernels, pixels, positions, kernel, *bias):
        arrays = (kernels, pixels, positions)
        g = geometry(x.shape, kernel.shape, arrays, routing.segment, stride)
        return forward_kernels(x, kernel, bias[0] if bias else None, arrays, g, sizes, interpret)

    whole = (kernel,) if bias is None else (kernel, bias)
    return split_over_devices(convolve, (x, *routing.arrays), whole)


def backward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    routing: Routing,
    cotangent: Float[Array, 'n h2 w2 o'],
    stride: int,
    sizes: BlockSizes,
    interpret: bool = False,
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'b k k c o']]:
    """The gradients of x and kernel, likewise."""
    segment = routing.segment
    sizes = fit_to_block(sizes, routing.pixels.shape[-1])
    grad_input = INPUT_DESIGNS[sizes.input_design]

    def of_x(cotangent, kernels, pixels, positions, kernel):
        arrays = (kernels, pixels, positions)
        shape = (len(cotangent), *x.shape[1:])
        g = geometry(shape, kernel.shape, arrays, segment, stride)
        return grad_input(cotangent, kernel, arrays, g, sizes, interpret)

    def of_kernel(x, cotangent, kernels, pixels, positions):
        arrays = (kernels, pixels, positions)
        g = geometry(x.shape, kernel.shape, arrays, segment, stride)
        return grad_kernel_kernels(x, cotangent, arrays, g, sizes, interpret)

    grad_x = split_over_devices(of_x, (cotangent, *routing.arrays), (kernel,))
    grad_kernel = split_over_devices(of_kernel, (x, cotangent, *routing.arrays), summed=True)
    return grad_x.astype(x.dtype), grad_kernel.astype(kernel.dtype)


def sizes_for(x: Array, kernel: Array, stride: int, precision: lax.Precision | None) -> BlockSizes:
    """The block sizes of a convolution on this process's GPU (an A100's where there is none)."""
    breadth, size, _, channels, features = kernel.shape
    shape = Shape(channels, features, breadth, size, stride, jnp.dtype(x.dtype).name)
    name = 'ieee' if precision == lax.Precision.HIGHEST else 'tf32'
    return block_sizes(shape, present_gpu() or A100, name)


def support(x: Array, kernel: Array, stride: int) -> str | None:
    """Why GPUs' kernels cannot compute with these, if they cannot."""
    del kernel, stride
    return 'x is float64' if x.dtype == jnp.float64 else None


def make_backend(interpret: bool, segment: int) -> Backend:
    """The kernels as a back end, with the block sizes of the GPU at hand."""

    def forward_here(x, kernel, bias, routing, stride, precision):
        sizes = sizes_for(x, kernel, stride, precision)
        return forward(x, kernel, bias, routing, stride, sizes, interpret)

    def backward_here(x, kernel, routing, cotangent, stride, precision):
        sizes = sizes_for(x, kernel, stride, precision)
        return backward(x, kernel, routing, cotangent, stride, sizes, interpret)

    def sort_here(selector, breadth, block):
        return sort_segments(selector, breadth, block, interpret)

    return Backend(support, forward_here, backward_here, sort_here, segment)


PALLAS = make_backend(interpret=False, segment=GPU_SEGMENT)
PALLAS_INTERPRET = make_backend(interpret=True, segment=SEGMENT)
