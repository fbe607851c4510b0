"""A shallow network of switched convolutions for super-resolution.

The article on switched convolutions (neonbjb, 2021) reports a switched network of 5 layers and
breadth 8 to be competitive with RRDBNet's 23 blocks, and does not say more of it. Our reading: a
first convolution; five switched 3 x 3 convolutions, each a residual branch behind a leaky ReLU, so
that a branch may take any sign; and RRDBNet's head, which makes the image.
"""

from typing import ClassVar

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.switching import Switching, convolution
from sr_jax.layers.upsampling_head import NEGATIVE_SLOPE, UpsamplingHead
from sr_jax.models.protocols import image_batch

NUM_UPS = {1: 0, 2: 1, 4: 2, 8: 3}
OTHER_RADIUS = 3  # of the first convolution and of the head's, at larger sizes
LAYERS = tuple(f'layer_{i}/conv' for i in range(5))


class Layer(nn.Module):
    """Adds conv(leaky_relu(x)) to x, the convolution a switched one where `switching` names it."""

    switching: Switching
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c'], train: bool = False) -> Float[Array, 'n h w c']:
        """Features of the same shape as x."""
        conv = convolution(self, self.switching, 'conv', x.shape[-1], 3, dtype=self.dtype)
        return x + conv(nn.leaky_relu(x, NEGATIVE_SLOPE), train)


class SwitchedSR(nn.Module):
    """Residual layers of one switched convolution each, at the input's size, and RRDBNet's head.

    With `switching.layers` empty it is the dense network of the same form, with which training in
    stages begins (`sr_jax.layers.switching.convert_to_switched`). Start values are those of
    `Convolution` and `SwitchedConv`.

    Attributes:
      scale: output pixels per input pixel along a side: 1, 2, 4 or 8.
      features: channels inside.
      num_layers: residual layers; another number than 5 needs other `switching.layers`.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute the layers' activations in the backward pass, for memory.
      switching: which layers are switched, and how: by default 'layer_0/conv' to 'layer_4/conv',
        with 8 kernels each.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_layers',)
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_layers: int = 5
    dtype: str = 'float32'
    remat: bool = False
    switching: Switching = Switching(LAYERS, breadth=8)

    @property
    def halo(self) -> int | None:
        """Pixels around one on which its enlargement depends; None: on the whole image."""
        return None if self.switching.layers else self.num_layers + OTHER_RADIUS

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        Raises:
          InputError: another scale than 1, 2, 4 and 8.
        """
        if self.scale not in NUM_UPS:
            raise InputError(f'SwitchedSR enlarges by 1, 2, 4 or 8, not by {self.scale!r}')
        layer = nn.remat(Layer, static_argnums=(2,)) if self.remat else Layer
        h = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x)
        for i in range(self.num_layers):
            h = layer(self.switching, self.dtype, name=f'layer_{i}')(h, train)
        return UpsamplingHead(NUM_UPS[self.scale], self.dtype, name='head')(
            nn.leaky_relu(h, NEGATIVE_SLOPE)
        )


Model = SwitchedSR
