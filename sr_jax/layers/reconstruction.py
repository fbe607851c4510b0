"""The last parts that transformers for super-resolution share, as SwinIR has them.

Liang et al. 2021, "SwinIR: Image Restoration Using Swin Transformer" (arXiv:2108.10257), section
3.1, and its program's variants.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, upsample_nearest
from sr_jax.layers.resampling import pixel_shuffle

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K's images, in [0, 1]
SLOPE = 0.2  # of leaky ReLUs
FIRST_SLOPE = 0.01  # of the one after the first convolution of a head
FEATURES = 64  # of heads
FORMS = ('pixel_shuffle', 'direct', 'nearest', 'residual')


def rgb_mean(channels: int) -> Float[Array, '1 1 1 _']:
    """What is subtracted from images: the mean color of three channels, 0 of others."""
    mean = RGB_MEAN if channels == 3 else (0.0,)
    return jnp.array(mean, jnp.float32)[None, None, None]


class BodyConvolution(nn.Module):
    """The convolution before a residual connection; or three, which have fewer parameters.

    Attributes:
      depth: 1; or 3, with a quarter of the channels between them.
      dtype: name of the type computed in; parameters stay float32.
    """

    depth: int = 1
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape.

        Raises:
          InputError: another depth than 1 and 3.
        """
        if self.depth not in (1, 3):
            raise InputError(f'{self.depth} body convolutions: there are 1 or 3')
        channels = x.shape[-1]
        if self.depth == 1:
            return Convolution(channels, 3, dtype=self.dtype, name='conv_0')(x)
        for i, taps in enumerate((3, 1)):
            x = Convolution(channels // 4, taps, dtype=self.dtype, name=f'conv_{i}')(x)
            x = nn.leaky_relu(x, SLOPE)
        return Convolution(channels, 3, dtype=self.dtype, name='conv_2')(x)


def body_radius(depth: int) -> int:
    """Pixels around one that `BodyConvolution` looks at."""
    return 1 if depth == 1 else 2


class Reconstruction(nn.Module):
    """From features at the input's size to a larger image.

    Attributes:
      form: 'pixel_shuffle', a convolution and doublings by sub-pixel convolution; 'direct', one
        sub-pixel convolution; 'nearest', doublings by repeated pixels and convolutions; 'residual',
        one convolution at the same size.
      scale: pixels made of one along a side; a power of 2, or 3 but for 'nearest'.
      features: channels inside.
      out_channels: of the image.
      dtype: name of the type computed in; parameters stay float32.
    """

    form: str
    scale: int
    features: int = FEATURES
    out_channels: int = 3
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 out']:
        """Images, float32."""
        factors = find_factors(self.form, self.scale)
        if self.form == 'direct':
            made = self._convolve('sub_pixel', x, self.out_channels * self.scale**2)
            return pixel_shuffle(made.astype(jnp.float32), self.scale)
        if self.form != 'residual':
            x = nn.leaky_relu(self._convolve('conv_before', x, self.features), FIRST_SLOPE)
        for i, factor in enumerate(factors):
            if self.form == 'nearest':
                x = upsample_nearest(x, factor)
                x = nn.leaky_relu(self._convolve(f'up_{i}', x, self.features), SLOPE)
            else:
                x = self._convolve(f'up_{i}', x, self.features * factor**2)
                x = pixel_shuffle(x, factor)
        if self.form == 'nearest':
            x = nn.leaky_relu(self._convolve('conv_hr', x, self.features), SLOPE)
        return self._convolve('conv_last', x, self.out_channels).astype(jnp.float32)

    def _convolve(self, name: str, x: Array, features: int) -> Array:
        return Convolution(features, 3, dtype=self.dtype, name=name)(x)


def find_factors(form: str, scale: int) -> tuple[int, ...]:
    """By what the steps of a `Reconstruction` enlarge: 2 each, or 3 once.

    Raises:
      InputError: there is no such form, or it has no such scale.
    """
    if form not in FORMS:
        raise InputError(f'no head is called {form!r}: there are {", ".join(FORMS)}')
    number = scale.bit_length() - 1 if isinstance(scale, int) and scale > 0 else -1
    if form == 'direct' and number >= 0:
        return (scale,)
    if form == 'pixel_shuffle' and scale == 3:
        return (3,)
    if number < 0 or 2**number != scale or (form == 'residual' and scale != 1):
        raise InputError(f'a head of the form {form!r} does not enlarge by {scale!r}')
    return (2,) * number


def head_radius(form: str, scale: int) -> int:
    """Pixels of the input around one that a `Reconstruction` looks at."""
    if form in ('direct', 'residual'):
        return 1
    return 3 if find_factors(form, scale) or form == 'nearest' else 2
