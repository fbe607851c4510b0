"""Modulated convolutions: the kernel is scaled by a style, for each image by another one.

Karras et al. 2019, Analyzing and Improving the Image Quality of StyleGAN (arXiv:1912.04958),
section 2.2: the weights of input channel i are multiplied by s_i, then those of each output channel
are divided by their norm. Both are factors of channels, so here the input is multiplied by s, and
the output is divided by the norm of s w: one convolution for all images, instead of one for each,
of grouped channels, as the originals write it.

Where the convolution is switched, each pixel chooses one of several kernels, and the kernel of an
image at a pixel is the chosen one, modulated: the input is multiplied by s, the choice is made of
that product, and the output is divided by the norm of s w for the chosen w.
"""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers import switching
from sr_jax.layers.convolution import convolve, normal_init, transposed_convolve
from sr_jax.layers.equalized import EqualizedLinear, convolve_halving
from sr_jax.layers.switched_conv import SwitchedConv
from sr_jax.layers.switching import Switching
from sr_jax.layers.upfirdn import fir_kernel, smooth, upfirdn

EPSILON = 1e-8


class ModulatedConvolution(nn.Module):
    """A modulated convolution, without a bias.

    Its parts are `modulation`, the linear layer that makes scales of a style, and `conv`, whose
    kernel lies as that of `Convolution`. PyTorch's originals double the sides by a transposed
    convolution: of these layers it is turned by 180 degrees.

    Attributes:
      features: channels of the output.
      kernel_size: taps along each side, odd; 3 where the sides are doubled.
      resampling: '', 'up' (doubles the sides and blurs) or 'down' (blurs and halves them).
      demodulated: whether the output is divided by the kernel's norm.
      switching: which convolutions are switched, and how; not one that halves.
      dtype: name of the type computed in and returned; the factors are float32.
    """

    features: int
    kernel_size: int = 3
    resampling: str = ''
    demodulated: bool = True
    switching: Switching = Switching()
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], style: Float[Array, 'n d'], train: bool = False
    ) -> Float[Array, 'n h2 w2 features']:
        """Convolves each image by the kernel that its style makes."""
        channels, taps = x.shape[-1], self.kernel_size
        scales = EqualizedLinear(channels, bias_start=1.0, name='modulation')(style)
        scales = scales / math.sqrt(channels * taps**2)
        conv = switching.convolution(
            *(self, self.switching, 'conv', self.features, taps),
            dtype=self.dtype,
            kernel_init=normal_init(1.0),
            use_bias=False,
        )
        x = (x * scales[:, None, None]).astype(self.dtype)
        if isinstance(conv, SwitchedConv):
            return self._switch(conv, x, scales, train)
        kernel, _ = conv.weights(channels)
        ways: dict[str, Any] = {'': convolve, 'up': convolve_doubling, 'down': convolve_halving}
        y: Array = ways[self.resampling](x, kernel)
        if not self.demodulated:
            return y
        return y * norms(kernel[None], scales)[:, 0, None, None].astype(self.dtype)

    def _switch(
        self, conv: SwitchedConv, x: Array, scales: Array, train: bool
    ) -> Float[Array, 'n h2 w2 features']:
        gains = (lambda kernel: norms(kernel, scales)) if self.demodulated else None
        if self.resampling != 'up':
            return conv(x, train, gains=gains)
        # The filters exchanged, for a choice of each pixel of the output: one more pixel around,
        # which takes the place of zeros.
        x = upfirdn(x, fir_kernel(gain=4), up=2, pad=(3, 2))
        return conv(x, train, gains=gains)[:, 1:-1, 1:-1]


def norms(
    kernel: Float[Array, 'b k l c o'], scales: Float[Array, 'n c']
) -> Float[Array, 'n b o']:
    """Returns 1 / the norm of each output channel's weights, times the scales of each image.

    Section 2.2, equation 3. In float32.
    """
    squares = jnp.square(kernel.astype(jnp.float32)).sum(axis=(1, 2))
    return lax.rsqrt(jnp.einsum('bco,nc->nbo', squares, jnp.square(scales)) + EPSILON)


def convolve_doubling(
    x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c o']
) -> Float[Array, 'n 2*h 2*w o']:
    """Puts zeros between the pixels, convolves, and blurs what that gives."""
    return smooth(transposed_convolve(x, kernel), (1, 1), gain=4)
