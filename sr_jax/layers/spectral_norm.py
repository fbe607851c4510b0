"""Convolutions whose kernels are divided by their largest singular value.

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks"
(arXiv:1802.05957), algorithm 1, as in `torch.nn.utils.spectral_norm`.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.convolution import convolve, uniform_init
from sr_jax.layers.parameter import parameter

COLLECTION = 'spectral_norm'
EPSILON = 1e-12


def normalize(vector: Float[Array, 'd']) -> Float[Array, 'd']:
    """Returns the vector at length 1; zeros stay zeros."""
    return vector / jnp.maximum(jnp.linalg.norm(vector), EPSILON)


class SpectralConvolution(nn.Module):
    """Convolution without bias, by kernel / sigma; sigma = v W u is an estimate from below.

    W is the kernel as a matrix [k * k * in, features]. Its singular vectors are estimated by the
    state in the collection 'spectral_norm': `u` [features] and `v` [k, k, in]. A training call
    takes one step of the power iteration, v = W u and u = W^T v at length 1, and keeps it if the
    collection is mutable; evaluation takes the vectors as they are. They are constants to the
    gradient, sigma is not. Unlike Miyato's algorithm, but as PyTorch, v is kept as well.

    Attributes:
      features: channels of the output.
      kernel_size: taps along each side, padded with (kernel_size - 1) // 2 zeros.
      stride: step along each side.
      dtype: name of the type that is convolved in and returned; sigma is float32, as all
        variables are.
    """

    features: int
    kernel_size: int
    stride: int = 1
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 features']:
        """Returns the convolution of x by the normalised kernel."""
        rows = (self.kernel_size, self.kernel_size, x.shape[-1])
        start = uniform_init(x.shape[-1] * self.kernel_size**2)
        kernel = jnp.asarray(parameter(self, 'kernel', start, (*rows, self.features)))
        matrix = kernel.reshape(-1, self.features)
        state_u = self.variable(COLLECTION, 'u', self._random_vector, (self.features,))
        state_v = self.variable(COLLECTION, 'v', self._random_vector, rows)
        u, v = jnp.asarray(state_u.value), jnp.asarray(state_v.value).reshape(-1)
        if train and not self.is_initializing():
            fixed = lax.stop_gradient(matrix)
            v = normalize(fixed @ u)
            u = normalize(v @ fixed)
            if self.is_mutable_collection(COLLECTION):
                state_u.value, state_v.value = u, v.reshape(rows)
        sigma = v @ matrix @ u
        return convolve(x.astype(self.dtype), (kernel / sigma).astype(self.dtype), self.stride)

    def _random_vector(self, shape: tuple[int, ...]) -> Array:
        vector = jax.random.normal(self.make_rng('params'), (math.prod(shape),), jnp.float32)
        return normalize(vector).reshape(shape)
