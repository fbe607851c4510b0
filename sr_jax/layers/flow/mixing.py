"""Invertible convolutions: every pixel's channels times one square matrix, and what can follow.

Kingma and Dhariwal 2018, "Glow" (arXiv:1807.03039), section 3.2. The log-determinant is
height * width * log|det W|.

A 1 x 1 convolution looks at no neighbours. An emerging one (Hoogeboom et al. 2019, "Emerging
Convolutions for Generative Normalizing Flows", arXiv:1901.11137, section 3.1) does, by two 3 x 3
convolutions of which one sees the pixels before each, in the order of reading, and the other those
after it. Each is y = x + A x with A strictly triangular in that order, so
that its determinant is 1 and (1 + A) x = y has one solution. Where the paper keeps a triangular
matrix at the centre, here W stands before both. A solution alone is not enough: it is a recursive
filter, which for large A grows without end from pixel to pixel. So A is kept below 0.7 in norm:
the inverse of each then magnifies at most 3.4 times, whatever the size of the image. Of a whole
flow that is still much (RESULTS.md).

`matrix` and `inverse_matrix` also take stacks of matrices, [..., C, C], so that all steps of a flow
share one factorisation (on CPUs it is one after the other).
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers.borders import zero_outside
from sr_jax.layers.convolution import convolve, normal_init
from sr_jax.layers.parameter import parameter

PARAMETRIZATIONS = ('plain', 'plu', 'emerging')
EXACT = lax.Precision.HIGHEST
START_DEVIATION = 0.05  # of the triangles' entries
MAX_NORM = 0.7  # of what a triangular convolution adds
TOLERANCE = 1e-6  # of the last step of a solution, for values of 1
SEEN_BEFORE = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], bool)  # taps of the first convolution


class Matrix(NamedTuple):
    """A matrix of output by input channels, and log|det| of it, both perhaps of a stack."""

    weight: Float[Array, '*stack c c']
    log_determinant: Float[Array, '*stack']


def matrix(params: Mapping[str, Array]) -> Matrix:
    """Returns the matrix of the parameters of an `InvertibleConvolution`, or a stack of them."""
    if 'weight' in params:
        weight = params['weight']
        return Matrix(weight, _of_each(lambda m: jnp.linalg.slogdet(m)[1], weight))
    lower, upper, order = _factors(params)
    weight = jnp.matmul(lower, upper, precision=EXACT)[..., order, :]
    return Matrix(weight, params['log_diagonal'].sum(-1))


def inverse_matrix(params: Mapping[str, Array]) -> Float[Array, '*stack c c']:
    """Returns the inverse of `matrix(params).weight`.

    A float32 inverse leaves an error that grows with the matrix's condition; one step of Newton's
    iteration, X (2 - W X), squares its relative size.
    """
    weight = matrix(params).weight
    identity = jnp.broadcast_to(jnp.eye(weight.shape[-1], dtype=jnp.float32), weight.shape)
    first = _of_each(jnp.linalg.inv, weight)
    residual = 2 * identity - jnp.matmul(weight, first, precision=EXACT)
    return jnp.matmul(first, residual, precision=EXACT)


def _of_each(function: Callable[[Array], Array], matrices: Float[Array, '*stack c c']) -> Array:
    """Applies a function to each matrix of a stack: in one batch, on CPUs one by one.

    Up to 0.11.0, jaxlib shares a batch of matrices out to XLA's threads, of which one waits for the
    others. With as many such batches at once as there are threads, as many levels of a flow on two
    cores, all wait and none computes: for ever.
    """
    stack = matrices.reshape(-1, *matrices.shape[-2:])
    one_by_one = functools.partial(lax.map, function)
    found = lax.platform_dependent(stack, cpu=one_by_one, default=jax.vmap(function))
    return found.reshape(*matrices.shape[:-2], *found.shape[1:])


def _factors(params: Mapping[str, Array]) -> tuple[Array, Array, np.ndarray]:
    """Returns L, U with its diagonal, and the order that the rows of L U are put into."""
    channels = params['log_diagonal'].shape[-1]
    identity = jnp.broadcast_to(jnp.eye(channels, dtype=jnp.float32), params['lower'].shape)
    diagonal = jnp.exp(params['log_diagonal'])[..., None] * identity
    lower = jnp.tril(params['lower'], -1) + identity
    upper = jnp.triu(params['upper'], 1) + diagonal
    return lower, upper, np.random.default_rng(channels).permutation(channels)


class InvertibleConvolution(nn.Module):
    """y = W x for the channels x of every pixel, in float32; 'emerging' then mixes neighbours too.

    Attributes:
      channels: of x.
      parametrization: 'plain' keeps W itself, begun as a random rotation, as SRFlow does. 'plu'
        keeps W = P L U, whose log-determinant is a sum and which can never become singular: L with
        a diagonal of ones, U with a diagonal exp(log_diagonal), both begun near the identity, and a
        fixed permutation P that depends on the number of channels only (Glow takes all three from
        the factors of a rotation). 'emerging' is 'plain' followed by the two convolutions, begun
        with zeros; its inverse is found by iteration, looks at the whole of y (each iteration at
        one pixel more), and has no gradient.
    """

    channels: int
    parametrization: str = 'plain'

    def setup(self) -> None:
        """Makes the parameters."""
        shape = (self.channels, self.channels)
        if self.parametrization in ('plain', 'emerging'):
            self.weights = {'weight': parameter(self, 'weight', _rotation, shape)}
        elif self.parametrization == 'plu':
            start = normal_init(START_DEVIATION)
            self.weights = {
                'lower': parameter(self, 'lower', start, shape),
                'upper': parameter(self, 'upper', start, shape),
                'log_diagonal': parameter(self, 'log_diagonal', nn.initializers.zeros, shape[:1]),
            }
        else:
            raise InputError(
                f'mixing={self.parametrization!r}: '
                + nearest(self.parametrization, PARAMETRIZATIONS)
            )
        self.triangular = self._make_triangular() if self.parametrization == 'emerging' else []

    def _make_triangular(self) -> list[Array]:
        """Makes the kernels of the two convolutions, bounded, without the taps not theirs."""
        kernels = []
        for name, taps in (('before', SEEN_BEFORE), ('after', SEEN_BEFORE[::-1, ::-1])):
            shape = (*taps.shape, self.channels, self.channels)
            kernel = parameter(self, name, nn.initializers.zeros, shape)
            kernels.append(bound_norm(kernel * taps[:, :, None, None]))
        return kernels

    def __call__(
        self, x: Float[Array, 'n h w c'], known: Matrix | None = None
    ) -> tuple[Float[Array, 'n h w c'], Float[Array, ' n']]:
        """Returns the mixed x and the log-determinant; `known` spares computing `matrix` here."""
        weight, log_determinant = matrix(self.weights) if known is None else known
        y = mix_channels(x, weight)
        for kernel in self.triangular:
            y += convolve(zero_outside(y), kernel)
        return y, jnp.full(x.shape[0], x.shape[1] * x.shape[2] * log_determinant)

    def inverse(
        self, y: Float[Array, 'n h w c'], known: Float[Array, 'c c'] | None = None
    ) -> Float[Array, 'n h w c']:
        """Returns the x that y came from; `known` spares computing `inverse_matrix` here."""
        for kernel in reversed(self.triangular):
            y = solve_triangular(y, kernel)
        return mix_channels(y, inverse_matrix(self.weights) if known is None else known)


def _rotation(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """Returns a matrix drawn evenly from all rotations and reflections."""
    q, r = _factorize(normal_init(1.0)(key, shape, dtype))
    return q * jnp.sign(jnp.diagonal(r))[None]


@jax.custom_batching.sequential_vmap
def _factorize(a: Array) -> tuple[Array, Array]:
    """Returns QR, under `vmap` of one matrix after the other: see `_of_each`."""
    q, r = jnp.linalg.qr(a)
    return q, r


def mix_channels(
    x: Float[Array, 'n h w c'], weight: Float[Array, 'c c']
) -> Float[Array, 'n h w c']:
    """Multiplies the channels of each pixel by a matrix, in full float32."""
    return jnp.einsum('nhwi,oi->nhwo', x.astype(jnp.float32), weight, precision=EXACT)


def bound_norm(kernel: Float[Array, 'k k c c']) -> Float[Array, 'k k c c']:
    """Makes a kernel smaller where its convolution might otherwise be of more than MAX_NORM.

    By Schur's test: the norm is at most the geometric mean of the largest sums of absolute values
    over what reaches an output, and over what an input reaches.
    """
    size = jnp.abs(kernel).sum((0, 1))
    # The root's gradient is not finite at zero, where a layer begins.
    square = size.sum(0).max() * size.sum(1).max()
    return kernel * jnp.where(
        square > MAX_NORM**2, MAX_NORM / jnp.sqrt(jnp.maximum(square, MAX_NORM**2)), 1.0
    )


def solve_triangular(
    y: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c c']
) -> Float[Array, 'n h w c']:
    """Returns the x with x + convolve(x, kernel) = y, for a kernel that is strictly triangular.

    By x <- y - convolve(x, kernel), which ends: 2 h + w iterations reach every pixel that another
    one depends on, whatever the kernel. Bounded ones take at most some 40 until x stays as it is.
    """
    most = 2 * y.shape[1] + y.shape[2]

    def is_unsettled(carry: tuple[Array, Array, Array]) -> Array:
        count, x, change = carry
        return (count < most) & (change > TOLERANCE * jnp.maximum(jnp.abs(x).max(), 1.0))

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, x, _ = carry
        new = y - convolve(zero_outside(x), kernel)
        return count + 1, new, jnp.abs(new - x).max()

    start = (jnp.zeros((), jnp.int32), y, jnp.full((), jnp.inf, y.dtype))
    return lax.while_loop(is_unsettled, step, start)[1]
