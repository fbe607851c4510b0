"""Convolutions over NHWC images with PyTorch's padding and start values.

Kernels are stored [height, width, in, out] in float32 and applied as cross-correlations, whatever
the type that is computed in.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero
from jaxtyping import Array, Float

from sr_jax.kernels.mesh_axes import vary_equally  # type: ignore[import-not-found]
from sr_jax.layers import correlation, winograd, winograd_2d
from sr_jax.layers.borders import zero_outside
from sr_jax.layers.parameter import parameter


def uniform_init(fan_in: int) -> nn.initializers.Initializer:
    """Initializes by U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for kernels and biases.

    The numbers are drawn in one dimension: they are the same, and XLA compiles them for CPUs in
    0.2 s instead of 2 s for each shape.
    """
    bound = 1 / math.sqrt(fan_in)

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound).reshape(shape)

    return draw


def kaiming_init(scale: float) -> nn.initializers.Initializer:
    """Initializes by N(0, scale^2 * 2 / fan_in): He et al. 2015 (arXiv:1502.01852), times `scale`.

    Of kernels [..., height, width, in, out], each with a fan in of height * width * in.

    ESRGAN (arXiv:1809.00219, section 3.1) starts its residual branches with a scale of 0.1.
    """

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        deviation = scale * math.sqrt(2 / math.prod(shape[-4:-1]))
        return normal_init(deviation)(key, shape, dtype)

    return draw


def xavier_init() -> nn.initializers.Initializer:
    """Initializes by U(-b, b), b^2 = 6 / (fan_in + fan_out): Glorot and Bengio 2010, of kernels
    [height, width, in, out], drawn in one dimension, as `uniform_init` does."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        bound = math.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
        return jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound).reshape(shape)

    return draw


def normal_init(deviation: float) -> nn.initializers.Initializer:
    """Initializes by N(0, deviation^2), drawn in one dimension, as `uniform_init` is."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return deviation * jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)

    return draw


def convolve(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'k l c o'],
    stride: int = 1,
    padded: bool = True,
) -> Float[Array, 'n h2 w2 o']:
    """Cross-correlates x with a kernel of k x l taps, (k - 1) // 2 and (l - 1) // 2 zeros around x.

    Without zeros if it is not to be `padded`.

    Reverse mode only, to any order. JAX's own rule has the same gradients, as convolutions of other
    layouts. XLA for CPUs puts these into the one that it is fast in, but not inside of `lax.cond`
    and `lax.scan`, where they took 20 to 100 times as long (jax-ml/jax issue 12868). So on CPUs
    they are written in that layout.

    Inside of `winograd.fewer_products` it is computed so where that is quicker, and in float32 its
    gradients too.
    """
    devices = winograd.serving_devices(x, kernel, stride) if padded else 0
    x, kernel = vary_equally((x, kernel))
    return _differentiable(x, kernel, stride, padded, devices)


# JAX remembers what it has traced by the arguments, so that the choice must be one.
@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _differentiable(
    x: Array, kernel: Array, stride: int, padded: bool, devices: int
) -> Array:
    if devices:
        return winograd.apply(x, kernel, devices)
    return correlation.correlate(x, kernel, stride, padded)


def _convolve_forward(
    x: Array, kernel: Array, stride: int, padded: bool, devices: int
) -> tuple[Array, tuple[Array, Array]]:
    if devices:
        return winograd.apply(x, kernel, devices), (x, kernel)
    return correlation.correlate_to_learn(x, kernel, stride, padded), (x, kernel)


def _convolve_backward(
    stride: int,
    padded: bool,
    devices: int,
    residuals: tuple[Array, Array],
    cotangent: Array,
) -> tuple[Array, Array]:
    return _compiled_gradients(*residuals, cotangent, stride, padded, devices)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _gradients(
    x: Array, kernel: Array, cotangent: Array, stride: int, padded: bool, devices: int
) -> tuple[Array, Array]:
    """The gradients of x and kernel. Their own are convolutions as fast as these.

    The convolution y = F(x, kernel) is linear in either, and so are its gradients B(g, kernel) of x
    and W(x, g) of kernel. With u and v the cotangents of B and W, theirs are F(u, kernel) + F(x, v)
    for g, B(g, v) for x and W(u, g) for kernel. JAX would transpose the ones below instead, into
    layouts that XLA for CPUs is slow in: 90 times as slow for what a lambda layer does.
    """
    if devices and x.dtype == jnp.float32:
        gradient_x = winograd_2d.input_gradient(kernel, cotangent, devices)
        return gradient_x, winograd_2d.kernel_gradient(x, cotangent, devices)
    return correlation.gradients(x, kernel, cotangent, stride, padded)


def _gradients_forward(
    x: CustomVJPPrimal, kernel: CustomVJPPrimal, cotangent: CustomVJPPrimal, *options: Any
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    values = (x.value, kernel.value, cotangent.value)
    return _gradients(*values, *options), values


def _gradients_backward(
    stride: int,
    padded: bool,
    devices: int,
    residuals: tuple[Array, ...],
    cotangents: tuple[Array | SymbolicZero, ...],
) -> tuple[Array | None, ...]:
    """Leaves out what nothing depends on, as where only x has a gradient."""
    x, kernel, cotangent = residuals
    of_x, of_kernel = (None if isinstance(y, SymbolicZero) else y for y in cotangents)
    gradient, gradient_x, gradient_kernel = None, None, None
    if of_x is not None:
        gradient = _differentiable(of_x, kernel, stride, padded, devices)
        gradient_kernel = _gradients(of_x, kernel, cotangent, stride, padded, devices)[1]
    if of_kernel is not None:
        further = _differentiable(x, of_kernel, stride, padded, devices)
        gradient = further if gradient is None else gradient + further
        gradient_x = _gradients(x, of_kernel, cotangent, stride, padded, devices)[0]
    return gradient_x, gradient_kernel, gradient


_gradients.defvjp(_gradients_forward, _gradients_backward, symbolic_zeros=True)
# A shard_map that is not compiled refuses rules that are told of zeros.
_compiled_gradients = jax.jit(_gradients, static_argnums=(3, 4, 5))

_differentiable.defvjp(_convolve_forward, _convolve_backward)


def transposed_convolve(
    x: Float[Array, 'n h w c'], kernel: Float[Array, 'k k c o']
) -> Float[Array, 'n h2 w2 o']:
    """Cross-correlates x, zeros put between its pixels, with a kernel of 4 x 4 or 3 x 3 taps.

    It is the transpose, in x, of `convolve` with stride 2: padded of 4 x 4 taps, which gives twice
    the pixels, without padding of 3 x 3, which gives one more.

    Its kernel gradient is the one of that strided convolution with input and cotangent in
    exchanged parts. JAX's own rule convolves the dilated input with the cotangent, which took 15
    to 35 times as long on CPUs (BENCHMARKS.md). Reverse mode only, to any order.
    """
    return _transposed(*vary_equally((x, kernel)))


@jax.custom_vjp
def _transposed(x: Array, kernel: Array) -> Array:
    zeros = [1 if len(kernel) == 4 else 0] * 2
    return correlation.transposed(x, correlation.turn_kernel(kernel), 2, zeros, zeros)


def _transposed_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _transposed(x, kernel), (x, kernel)


def _transposed_backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    padded = len(kernel) == 4
    strided, pull_back = jax.vjp(
        lambda k: convolve(cotangent, k, 2, padded), correlation.turn_kernel(kernel)
    )
    return strided, correlation.turn_kernel(*pull_back(x))


_transposed.defvjp(_transposed_forward, _transposed_backward)


class Convolution(nn.Module):
    """Convolution of `kernel_size` squared taps, padded with (kernel_size - 1) // 2 zeros.

    Odd kernels keep ceil(size / stride) pixels; a kernel of 4 with stride 2 halves even sizes.

    Attributes:
      features: channels of the output.
      kernel_size: taps along each side.
      stride: step along each side.
      dtype: name of the type computed in and returned; parameters stay float32.
      use_bias: whether there is a bias.
      kernel_init: initializer of the kernel, such as `kaiming_init(0.1)`; the bias then starts
        with zeros, or with the number `bias`. None starts both by `uniform_init`.
      bias: see `kernel_init`.
    """

    features: int
    kernel_size: int
    stride: int = 1
    dtype: str = 'float32'
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer | None = None
    bias: float = 0.0

    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 features']:
        """Convolves x; `train` changes nothing, it lets a `SwitchedConv` stand here."""
        kernel, bias = self.weights(x.shape[-1])
        y = convolve(zero_outside(x.astype(self.dtype)), kernel, self.stride)
        return y if bias is None else y + bias[None, None, None, :]

    @nn.compact
    def weights(
        self, channels: int
    ) -> tuple[Float[Array, 'k k channels features'], Float[Array, ' features'] | None]:
        """Returns the kernel for so many channels, and the bias if there is one, in `dtype`."""
        kernel_init = bias_init = uniform_init(channels * self.kernel_size**2)
        if self.kernel_init is not None:
            kernel_init, bias_init = self.kernel_init, nn.initializers.constant(self.bias)
        shape = (self.kernel_size, self.kernel_size, channels, self.features)
        kernel = jnp.asarray(parameter(self, 'kernel', kernel_init, shape), self.dtype)
        if not self.use_bias:
            return kernel, None
        return kernel, jnp.asarray(parameter(self, 'bias', bias_init, (self.features,)), self.dtype)


class TransposedConvolution(nn.Module):
    """Doubles height and width: the transpose of a 4 x 4 convolution with stride 2, padding 1.

    The kernel is PyTorch's `ConvTranspose2d(.., 4, 2, 1)` weight [in, out, 4, 4] as
    [4, 4, in, out], turned by 180 degrees. Start values have PyTorch's bound too, which counts
    the output channels as the fan in.

    Attributes:
      features: channels of the output.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n 2*h 2*w features']:
        """Returns the transposed convolution of x."""
        start = uniform_init(self.features * 4**2)
        shape = (4, 4, x.shape[-1], self.features)
        kernel = jnp.asarray(parameter(self, 'kernel', start, shape), self.dtype)
        bias = jnp.asarray(parameter(self, 'bias', start, (self.features,)), self.dtype)
        y = transposed_convolve(x.astype(self.dtype), kernel)
        return y + bias[None, None, None, :]


def upsample_nearest(
    x: Float[Array, 'n h w c'], factor: int = 2
) -> Float[Array, 'n factor*h factor*w c']:
    """Multiplies height and width by `factor`, by repeating every pixel."""
    return x.repeat(factor, axis=1).repeat(factor, axis=2)
