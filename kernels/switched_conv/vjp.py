"""The gradients of the switched convolution, and theirs, by whichever back end."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .backend import Backend
from .routing import Routing


def convolve(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Routing | Array,
    stride: int,
    backend: Backend,
    precision: lax.Precision | None,
) -> Float[Array, 'n h2 w2 o']:
    """`switched_conv` of a routed selector; the caller has checked all."""
    if backend.backward is None:
        return backend.forward(x, kernel, bias, routing, stride, precision)
    return _convolve(x, kernel, bias, routing, stride, backend, precision)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _convolve(x, kernel, bias, routing, stride, backend, precision):
    return backend.forward(x, kernel, bias, routing, stride, precision)


def _forward(x, kernel, bias, routing, stride, backend, precision):
    y = _convolve(x, kernel, bias, routing, stride, backend, precision)
    return y, (x, kernel, bias, routing)


def _backward(stride, backend, precision, residuals, cotangent):
    x, kernel, bias, routing = residuals
    grad_x, grad_kernel = gradients(x, kernel, routing, cotangent, stride, backend, precision)
    grad_bias = None
    if bias is not None:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        grad_bias = jnp.sum(cotangent, axis=(0, 1, 2), dtype=wide).astype(bias.dtype)
    return grad_x, grad_kernel, grad_bias, None


_convolve.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def gradients(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    routing: Routing | Array,
    cotangent: Float[Array, 'n h2 w2 o'],
    stride: int,
    backend: Backend,
    precision: lax.Precision | None,
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'b k k c o']]:
    """The gradients of x and kernel, which can be differentiated again, as often as one likes.

    The convolution y = F(x, kernel) is linear in either, and so are its gradients B(g, kernel) of x
    and W(x, g) of kernel. With u and v the cotangents of B and W, theirs are F(u, kernel) + F(x, v)
    for g, B(g, v) for x and W(u, g) for kernel: nothing that is not here already.
    """
    assert backend.backward is not None  # or JAX differentiates `forward`
    return backend.backward(x, kernel, routing, cotangent, stride, precision)


def _gradients_forward(x, kernel, routing, cotangent, stride, backend, precision):
    outputs = gradients(x, kernel, routing, cotangent, stride, backend, precision)
    return outputs, (x, kernel, routing, cotangent)


def _gradients_backward(stride, backend, precision, residuals, cotangents):
    x, kernel, routing, cotangent = residuals
    of_x, of_kernel = cotangents
    options = (stride, backend, precision)
    grad_cotangent = _convolve(of_x, kernel, None, routing, *options)
    grad_cotangent += _convolve(x, of_kernel, None, routing, *options)
    grad_x, grad_kernel = gradients(of_x, of_kernel, routing, cotangent, *options)
    return grad_x, grad_kernel, None, grad_cotangent.astype(cotangent.dtype)


gradients.defvjp(_gradients_forward, _gradients_backward)
