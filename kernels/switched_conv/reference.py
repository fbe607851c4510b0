"""The specification: a sum over the kernels of dense convolutions, each masked by the selector."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32

from ..mesh_axes import varying_zeros
from .backend import Backend, support_all
from .routing import out_of_range


def reference_conv(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    selector: Int32[Array, 'n h2 w2'],
    stride: int,
    precision: lax.Precision | None = None,
) -> Float[Array, 'n h2 w2 o']:
    """What `switched_conv` computes, at `b` times the cost of one convolution.

    JAX differentiates it; nothing here was derived by hand.
    """
    del precision  # always the highest
    wide = jnp.promote_types(x.dtype, jnp.float32)
    pad = kernel.shape[1] // 2

    def add(y, numbered):
        index, dense = numbered
        convolved = lax.conv_general_dilated(
            x.astype(wide),
            dense,
            (stride, stride),
            [(pad, pad)] * 2,
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
            precision=lax.Precision.HIGHEST,
        )
        return y + jnp.where((selector == index)[..., None], convolved, 0), None

    y = varying_zeros((*selector.shape, kernel.shape[-1]), x).astype(wide)
    y, _ = lax.scan(add, y, (jnp.arange(len(kernel)), kernel.astype(wide)))
    y = jnp.where(out_of_range(selector, kernel.shape[0])[..., None], jnp.nan, y)
    if bias is not None:
        y += bias.astype(wide)[None, None, None, :]
    return y.astype(x.dtype)


REFERENCE = Backend(support_all, reference_conv)
