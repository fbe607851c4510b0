"""SPAN: convolutions whose own output, by an odd function, says where they count.

Wan et al. 2023, "Swift Parameter-free Attention Network for Efficient Super-Resolution"
(arXiv:2311.12770), section 3 and figure 2, as its program has it (hongyuanyu/SPAN).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.borders import zero_outside
from sr_jax.layers.convolution import Convolution, convolve, uniform_init
from sr_jax.layers.parameter import parameter
from sr_jax.layers.reconstruction import RGB_MEAN
from sr_jax.layers.resampling import pixel_shuffle
from sr_jax.models.protocols import image_batch

GAIN = 2  # channels between the convolutions of a `MergedConvolution`, times the others
NUM_BLOCKS = 6
CONVOLUTIONS = 1 + 3 * NUM_BLOCKS + 2  # one after another: the first, the blocks', the last two
COLOR_RANGE = 255.0


class MergedConvolution(nn.Module):
    """A 3 x 3 convolution that is trained as four: 1 x 1, 3 x 3 and 1 x 1, plus another 1 x 1.

    As nothing lies between them, they are one convolution, and computed as one, in training too:
    the gradients are those of the four.

    Attributes:
      features: channels of the output.
      dtype: name of the type computed in; parameters stay float32.
    """

    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w features']:
        """Convolves x, padded with zeros."""
        channels, inside = x.shape[-1], GAIN * x.shape[-1]
        skip, skip_bias = self._layer('skip', 1, channels, self.features)
        first, first_bias = self._layer('expand', 1, channels, inside)
        middle, middle_bias = self._layer('conv', 3, inside, GAIN * self.features)
        last, last_bias = self._layer('reduce', 1, GAIN * self.features, self.features)
        kernel = jnp.einsum('ia,klab,bo->klio', first[0, 0], middle, last[0, 0])
        kernel = kernel.at[1, 1].add(skip[0, 0])
        bias = jnp.einsum('a,klab->b', first_bias, middle) + middle_bias
        bias = bias @ last[0, 0] + last_bias + skip_bias
        made = convolve(zero_outside(x.astype(self.dtype)), kernel.astype(self.dtype))
        return made + bias.astype(self.dtype)[None, None, None]

    def _layer(self, name: str, taps: int, inputs: int, outputs: int) -> tuple[Array, Array]:
        start = uniform_init(inputs * taps**2)
        kernel = parameter(self, f'{name}_kernel', start, (taps, taps, inputs, outputs))
        return jnp.asarray(kernel), jnp.asarray(parameter(self, f'{name}_bias', start, (outputs,)))


class SPAB(nn.Module):
    """Three convolutions; (output + x) times the output's own attention, sigmoid - 1/2.

    Attributes:
      dtype: name of the type computed in; parameters stay float32.
    """

    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c']
    ) -> tuple[Float[Array, 'n h w c'], Float[Array, 'n h w c']]:
        """Features of the same shape, and those of the first convolution, activated."""
        first, second, third = (
            MergedConvolution(x.shape[-1], self.dtype, name=f'conv_{i}') for i in range(3)
        )
        inside = nn.silu(first(x))
        h = third(nn.silu(second(inside)))
        return (h + x) * (nn.sigmoid(h) - 0.5), inside


class SPAN(nn.Module):
    """SPAN with the paper's six blocks; the defaults are those of its network for scale 4.

    Start values are PyTorch's defaults, as in the original.

    Attributes:
      scale: output pixels per input pixel along a side, 1 or more.
      features: channels inside.
      normalize: compute with colors of 0 to 255 less their mean; of three channels only.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute each block in the backward pass, for memory.
      in_channels: of images given.
      out_channels: of images made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[int] = CONVOLUTIONS

    scale: int = 4
    features: int = 48
    normalize: bool = True
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3
    out_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32, self.in_channels)

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 c2']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: a scale below 1, or normalized colors that are no three.
        """
        if self.scale < 1:
            raise InputError(f'SPAN enlarges by 1 or more, not by {self.scale!r}')
        if self.normalize:
            if self.in_channels != len(RGB_MEAN):
                raise InputError(f'SPAN normalizes three channels, not {self.in_channels}')
            x = (x - jnp.array(RGB_MEAN, jnp.float32)[None, None, None]) * COLOR_RANGE
        first = MergedConvolution(self.features, self.dtype, name='conv_first')(x)
        block, h, outputs = nn.remat(SPAB) if self.remat else SPAB, first, []
        for i in range(NUM_BLOCKS):
            h, inside = block(self.dtype, name=f'block_{i}')(h)
            outputs.append(h)
        body = MergedConvolution(self.features, self.dtype, name='conv_body')(h)
        joined = jnp.concatenate([first, body, outputs[0], inside], axis=-1)
        h = Convolution(self.features, 1, dtype=self.dtype, name='conv_join')(joined)
        channels = self.out_channels * self.scale**2
        h = Convolution(channels, 3, dtype=self.dtype, name='conv_last')(h)
        return pixel_shuffle(h.astype(jnp.float32), self.scale)


Model = SPAN
