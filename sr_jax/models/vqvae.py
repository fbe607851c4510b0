"""VQ-VAE-2, stage 1: an image as two grids of discrete codes, and back.

Razavi, van den Oord, Vinyals 2019 (arXiv:1906.00446), in the two published forms that differ in
how they change resolution:

  transposed  4 x 4 strided and transposed convolutions (rosinality/vq-vae-2-pytorch)
  nearest     5 x 5 strided convolutions; nearest-neighbour doubling and a 5 x 5 convolution
              (neonbjb/DL-Art-School). Its residual blocks add relu(x), not x, to their branch: the
              first activation worked in place there, and published weights depend on it.

Images are float32 in [0, 1] at the door and [-1, 1] inside.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, TransposedConvolution, upsample_nearest
from sr_jax.layers.quantizer import Quantizer, QuantizerOutput
from sr_jax.layers.switching import Switching, convolution
from sr_jax.models.protocols import Limits, image_batch

UPSAMPLING = ('transposed', 'nearest')


class VQVAEOutput(NamedTuple):
    """A reconstruction on the scale of [0, 1] (not clipped), the sum of the commitment losses of
    both levels (a scalar on the codes' own scale) and the codes: `top` at 1/8 of the image's
    size, `bottom` at 1/4."""

    image: Float[Array, 'n h w 3']
    commitment_loss: Float[Array, '']
    codes: dict[str, Int[Array, 'n _ _']]


class ResBlock(nn.Module):
    """Adds conv1(relu(conv3(relu(x)))) with `hidden` channels between to x, or to relu(x)."""

    hidden: int
    rectified_skip: bool
    dtype: str
    switching: Switching = Switching()

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c'], train: bool = False) -> Float[Array, 'n h w c']:
        """Features of the same shape as x."""
        conv = functools.partial(convolution, self, self.switching, dtype=self.dtype)
        activated = nn.relu(x)
        h = conv('conv_0', self.hidden, 3)(activated, train)
        h = conv('conv_1', x.shape[-1], 1)(nn.relu(h), train)
        return (activated if self.rectified_skip else x) + h


class ResBlocks(nn.Module):
    """`num_blocks` residual blocks and the activation that follows them everywhere."""

    num_blocks: int
    hidden: int
    upsampling: str
    dtype: str
    switching: Switching = Switching()
    negative_slope: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c'], train: bool = False) -> Float[Array, 'n h w c']:
        """Activated features of the same shape as x."""
        fields = (self.upsampling == 'nearest', self.dtype, self.switching)
        for i in range(self.num_blocks):
            x = ResBlock(self.hidden, *fields, name=f'{i}')(x, train)
        return nn.leaky_relu(x, self.negative_slope)


class Encoder(nn.Module):
    """Divides the size by 2^`num_downs` and returns `channels` activated features."""

    channels: int
    num_downs: int
    num_res_blocks: int
    res_channels: int
    upsampling: str
    dtype: str
    switching: Switching = Switching()
    negative_slope: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 channels']:
        """Features of an image or of finer features."""
        conv = functools.partial(convolution, self, self.switching, dtype=self.dtype)
        taps = 4 if self.upsampling == 'transposed' else 5
        for i in range(self.num_downs):
            features = self.channels // 2 if i == 0 else self.channels
            x = nn.leaky_relu(conv(f'down_{i}', features, taps, 2)(x, train), self.negative_slope)
        x = conv('conv', self.channels, 3)(x, train)
        return _res_blocks(self)(x, train)


class Decoder(nn.Module):
    """Multiplies the size by 2^`num_ups` and returns `features` channels, not activated."""

    features: int
    channels: int
    num_ups: int
    num_res_blocks: int
    res_channels: int
    upsampling: str
    dtype: str
    switching: Switching = Switching()
    negative_slope: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 features']:
        """An image or finer features of codes."""
        x = convolution(self, self.switching, 'conv', self.channels, 3, dtype=self.dtype)(x, train)
        x = _res_blocks(self)(x, train)
        for i in range(self.num_ups):
            last = i == self.num_ups - 1
            features = self.features if last else self.channels // 2
            x = Upsample(features, self.upsampling, self.dtype, self.switching, name=f'up_{i}')(
                x, train
            )
            x = x if last else nn.leaky_relu(x, self.negative_slope)
        return x


def _res_blocks(module: Encoder | Decoder) -> ResBlocks:
    """The submodule `blocks` of an encoder or decoder."""
    return ResBlocks(
        module.num_res_blocks,
        module.res_channels,
        module.upsampling,
        module.dtype,
        module.switching,
        module.negative_slope,
        name='blocks',
    )


class Upsample(nn.Module):
    """Doubles height and width, by the learnt filter of either form."""

    features: int
    upsampling: str
    dtype: str
    switching: Switching = Switching()

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n 2*h 2*w features']:
        """x at twice the size."""
        if self.upsampling == 'transposed':
            return TransposedConvolution(self.features, self.dtype, name='conv')(x)
        conv = convolution(self, self.switching, 'conv', self.features, 5, dtype=self.dtype)
        return conv(upsample_nearest(x), train)


class VQVAE(nn.Module):
    """The two-level autoencoder; the defaults are the published set-up.

    The codebooks are in the collection `'codebook'`; see `sr_jax.layers.quantizer` on how training
    changes them.

    Attributes:
      channels: features at 1/4 and 1/8 of the size.
      num_res_blocks: residual blocks in each encoder and decoder.
      res_channels: features inside a residual block.
      codebook_size: number of codes of the top level.
      bottom_codebook_size: number of codes of the bottom level; 0 means `codebook_size`.
      codebook_dim: length of a code.
      decay: of the codebooks' moving averages.
      revive_below: mean uses in a batch under which a code is replaced; 0 turns revival off.
      upsampling: `'transposed'` or `'nearest'`, the form of the network (see above).
      dtype: name of the type that convolutions compute in; parameters, codes and losses are
        float32.
      remat: recompute activations in the backward pass, for memory.
      switching: which convolutions are switched, and how; none by default. The paths are those of
        the parameters, such as 'decoder/up_0/conv'; the transposed form can switch the 3 x 3 and
        1 x 1 convolutions of its encoders and decoders only.
      stem_channels: features of a 3 x 3 convolution before the network, and before another one
        that makes the image, both at full size (DL-Art-School's VQVAE3 has 32); 0 does without.
      negative_slope: of the activations outside the residual blocks (VQVAE3: 0.01; 0: plain ReLUs).
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_res_blocks',)
    LIMITS: ClassVar[Limits] = {'decay': (0, 1), 'revive_below': (0, math.inf)}

    channels: int = 128
    num_res_blocks: int = 2
    res_channels: int = 32
    codebook_size: int = 512
    bottom_codebook_size: int = 0
    codebook_dim: int = 64
    decay: float = 0.99
    revive_below: float = 0.0
    upsampling: str = 'transposed'
    dtype: str = 'float32'
    remat: bool = False
    switching: Switching = Switching()
    stem_channels: int = 0
    negative_slope: float = 0.0

    def setup(self) -> None:
        """Name every part; InputError for a form that does not exist."""
        if self.upsampling not in UPSAMPLING:
            forms = ' or '.join(repr(form) for form in UPSAMPLING)
            raise InputError(f'upsampling is {self.upsampling!r}: it must be {forms}')
        wrap = functools.partial(nn.remat, static_argnums=(2,)) if self.remat else lambda m: m
        shape = {
            'channels': self.channels,
            'num_res_blocks': self.num_res_blocks,
            'res_channels': self.res_channels,
            'upsampling': self.upsampling,
            'dtype': self.dtype,
            'switching': self.switching,
            'negative_slope': self.negative_slope,
        }
        self.encoder_bottom = wrap(Encoder)(num_downs=2, **shape)
        self.encoder_top = wrap(Encoder)(num_downs=1, **shape)
        self.quantize_conv_top = Convolution(self.codebook_dim, 1, dtype=self.dtype)
        self.quantizer_top = self._quantizer(self.codebook_size)
        self.decoder_top = wrap(Decoder)(features=self.codebook_dim, num_ups=1, **shape)
        self.quantize_conv_bottom = Convolution(self.codebook_dim, 1, dtype=self.dtype)
        self.quantizer_bottom = self._quantizer(self.bottom_codebook_size or self.codebook_size)
        self.upsample_top = Upsample(self.codebook_dim, self.upsampling, self.dtype, self.switching)
        self.decoder = wrap(Decoder)(features=self.stem_channels or 3, num_ups=2, **shape)
        if self.stem_channels:
            self.initial_conv = Convolution(self.stem_channels, 3, dtype=self.dtype)
            self.final_conv = Convolution(3, 3, dtype=self.dtype)

    @property
    def code_sizes(self) -> dict[str, int]:
        """How many codes there are in each level."""
        return {
            'top': self.codebook_size,
            'bottom': self.bottom_codebook_size or self.codebook_size,
        }

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    def __call__(self, x: Float[Array, 'n h w 3'], train: bool = False) -> VQVAEOutput:
        """Encode and decode images in [0, 1] whose sides are multiples of 8.

        Gradients reach the encoders straight through.

        Raises:
          InputError: images of other sizes.
        """
        top, bottom = self._quantize(x, train)
        image = self._reconstruct(top.quantized, bottom.quantized, train)
        codes = {'top': top.indices, 'bottom': bottom.indices}
        return VQVAEOutput(image, top.commitment_loss + bottom.commitment_loss, codes)

    def encode(self, x: Float[Array, 'n h w 3']) -> dict[str, Int[Array, 'n _ _']]:
        """The codes of images in [0, 1] whose sides are multiples of 8 (else InputError)."""
        top, bottom = self._quantize(x, train=False)
        return {'top': top.indices, 'bottom': bottom.indices}

    def decode(self, codes: Mapping[str, Int[Array, 'n _ _']]) -> Float[Array, 'n h w 3']:
        """The images of codes as `encode` gives them, on the scale of [0, 1] (not clipped)."""
        top = self.quantizer_top.lookup(codes['top'])
        bottom = self.quantizer_bottom.lookup(codes['bottom'])
        return self._reconstruct(top.astype(self.dtype), bottom.astype(self.dtype))

    def update_codebooks(self, statistics: Mapping[str, Any]) -> None:
        """Apply a `'codebook_statistics'` collection, merged over microbatches, to the codebooks.

        `model.apply(variables, statistics, method='update_codebooks', mutable=['codebook'])`
        """
        self.quantizer_top.update(statistics['quantizer_top']['statistics'])
        self.quantizer_bottom.update(statistics['quantizer_bottom']['statistics'])

    def find_concatenations(self, narrow: 'VQVAE') -> dict[str, tuple[tuple[int, int], ...]]:
        """By the path of each convolution that reads concatenated features, the channels of its
        parts in a narrower network and in this one, for `sr_jax.layers.widening.widen`."""
        codes = (narrow.codebook_dim, self.codebook_dim)
        features = (narrow.channels, self.channels)
        return {'quantize_conv_bottom': (codes, features), 'decoder/conv': (codes, codes)}

    def _quantizer(self, size: int) -> Quantizer:
        return Quantizer(size, self.codebook_dim, self.decay, revive_below=self.revive_below)

    def _quantize(
        self, x: Float[Array, 'n h w 3'], train: bool
    ) -> tuple[QuantizerOutput, QuantizerOutput]:
        height, width = x.shape[1:3]
        if height % 8 or width % 8:
            raise InputError(
                f'a VQ-VAE takes images whose sides are multiples of 8, not {height} x {width}: '
                'crop or pad them'
            )
        x = 2 * x - 1
        if self.stem_channels:
            x = nn.leaky_relu(self.initial_conv(x), self.negative_slope)
        features_bottom = self.encoder_bottom(x, train)
        features_top = self.encoder_top(features_bottom, train)
        top = self.quantizer_top(self.quantize_conv_top(features_top), train)
        context = [self.decoder_top(top.quantized, train), features_bottom]
        bottom = self.quantizer_bottom(
            self.quantize_conv_bottom(jnp.concatenate(context, axis=-1)), train
        )
        return top, bottom

    def _reconstruct(
        self,
        top: Float[Array, 'n h8 w8 d'],
        bottom: Float[Array, 'n h4 w4 d'],
        train: bool = False,
    ) -> Float[Array, 'n h w 3']:
        codes = jnp.concatenate([self.upsample_top(top, train), bottom], axis=-1)
        image = self.decoder(codes, train)
        if self.stem_channels:
            image = self.final_conv(image)
        return (image.astype(jnp.float32) + 1) / 2


Model = VQVAE
