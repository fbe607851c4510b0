"""GLEAN as DL-Art-School wrote it from the paper (arXiv:2012.00739), before the authors' program.

neonbjb, `codes/models/image_generation/glean/`. Where it departs from `sr_jax.models.glean`: the
first convolution has 7 x 7 taps and images stay in [0, 1]; the encoder widens as it halves, down to
a pixel, and gives one latent for each resolution, whose layers share it; the generator's image has
no part in it; the decoder repeats pixels, instead of shuffling them. The generator may be one for
larger images: its finer layers are not asked.

The original draws the generator's noise anew in every call. Here it is the fixed one, so that an
image has one enlargement.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, normal_init, upsample_nearest
from sr_jax.layers.equalized import EqualizedLinear
from sr_jax.layers.repeated import Loops
from sr_jax.layers.resolutions import channels_at, sides
from sr_jax.models.glean import Maps, apply_blocks, ask_generator, check_sizes
from sr_jax.models.protocols import image_batch
from sr_jax.models.rrdb import block_loops

SLOPE = 0.2
START_SLOPE = 0.1  # for which the kernels' start is calculated
DECODER_START = 0.1  # times which the decoder's kernels start


class GLEAN(nn.Module):
    """The network; the defaults are the original's, from 32 to 256 pixels, but
    for the generator's size, which is 1024 there.

    Attributes:
      in_size: side of the images given, a power of two from 4 on.
      size: side of the images made.
      bank_size: side of the generator's images, at least `size`; 0: equal to it.
      features: channels between the blocks of the encoder.
      max_features: channels of the encoder at a resolution at the most.
      num_blocks: blocks of three residual dense blocks in it.
      growth: channels that a convolution in them adds.
      latent_size, num_mapping, channel_base, channel_max: of the generator, as its own fields.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks', 'num_mapping')
    halo: ClassVar[None] = None
    multiple: ClassVar[int] = 1

    in_size: int = 32
    size: int = 256
    bank_size: int = 0
    features: int = 64
    max_features: int = 512
    num_blocks: int = 6
    growth: int = 32
    latent_size: int = 512
    num_mapping: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    dtype: str = 'float32'
    remat: bool = False

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along a side.

        Raises:
          InputError: sizes that are no powers of two, or the smaller one not first.
        """
        return check_sizes(self.in_size, self.size)

    @property
    def input_size(self) -> int:
        """The side that images must have."""
        return self.in_size

    @property
    def loops(self) -> Loops:
        """See `sr_jax.models.protocols.Looping`: the encoder's blocks."""
        return block_loops(self.num_blocks)

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.in_size, self.in_size)

    @nn.compact
    def __call__(self, x: Float[Array, 'n s s 3'], train: bool = False) -> Float[Array, 'n h h 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped).

        `train` changes nothing.

        Raises:
          InputError: sizes that are no powers of two, images of another size, or a generator of
            smaller ones.
        """
        check_sizes(self.in_size, self.size, x.shape)
        if self.bank_size and self.bank_size < self.size:
            raise InputError(f'bank_size={self.bank_size} must be at least size={self.size}')
        first = self._conv('conv_first', self.features, 7, activated=False)(x)
        last = apply_blocks(self, first)
        features, latents = self._encode(last)
        found = self._ask_generator(features, latents)
        h = self._apply('decode', self.features, last, scale=DECODER_START)
        for side in sides(self.size):
            if side > self.in_size:
                h = jnp.concatenate([upsample_nearest(h), found[side].astype(h.dtype)], axis=-1)
                h = self._apply(f'decode_{side}', self._width(side), h, scale=DECODER_START)
        last_conv = self._conv('conv_last', 3, activated=False, scale=DECODER_START)
        return last_conv(h).astype(jnp.float32)

    def _encode(self, h: Array) -> tuple[Maps, Float[Array, 'n l d']]:
        """Returns features by resolution, and a latent for each."""
        features: Maps = {}
        for side in sides(self.in_size)[::-1]:
            structure = self._conv(f'structure_{side}', h.shape[-1], 1, activated=False)
            features[side] = structure(h)
            wider = min(2 * h.shape[-1], self.max_features)
            for i, stride in enumerate((2, 1)):
                h = self._apply(f'down_{side}_{i}', wider, h, stride=stride, use_bias=False)
        h = self._apply('conv_latents', h.shape[-1], h, stride=2)
        number = self.size.bit_length() - 1
        linear = EqualizedLinear(number * self.latent_size, activated=True, name='latents')
        latents: Array = linear(h.astype(jnp.float32).reshape(len(h), -1))
        return features, latents.reshape(len(h), number, self.latent_size)

    def _ask_generator(self, features: Maps, latents: Float[Array, 'n l d']) -> Maps:
        """Returns the generator's features by resolution, beyond the size of the images given."""
        found: Maps = {}

        def fuse(side: int, x: Array, image: Array) -> tuple[Array, Array]:
            if side > self.in_size:
                found[side] = x
                return x, image
            both = jnp.concatenate([features[side].astype(x.dtype), x], axis=-1)
            return self._apply(f'fusion_{side}', self._width(side), both), image

        # A resolution's two layers share a latent, the first resolution's with the second's.
        bank_size = self.bank_size or self.size
        layers = range(2 * len(sides(bank_size)))
        shared = [min(max(i - 1, 0) // 2, latents.shape[1] - 1) for i in layers]
        ask_generator(self, bank_size, latents[:, jnp.asarray(shared)], fuse)
        return found

    def _apply(self, name: str, features: int, x: Array, **fields: Any) -> Array:
        return nn.leaky_relu(self._conv(name, features, **fields)(x), SLOPE)

    def _conv(
        self,
        name: str,
        features: int,
        taps: int = 3,
        activated: bool = True,
        scale: float = 1.0,
        **fields: Any,
    ) -> Convolution:
        gain = math.sqrt(2 / (1 + START_SLOPE**2)) if activated else 1.0
        start = normal_init(scale * gain / math.sqrt(features * taps**2))  # by the fan out
        return Convolution(
            features, taps, dtype=self.dtype, kernel_init=start, name=name, **fields
        )

    def _width(self, side: int) -> int:
        return channels_at(side, self.channel_base, self.channel_max)


Model = GLEAN
