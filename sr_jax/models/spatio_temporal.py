"""TecoGAN's discriminator: from three frames, laid out in channels, to logits of their regions.

Chu et al. 2020 (arXiv:1811.09393), appendix; thunil/TecoGAN, `discriminator_F` of `lib/Teco.py`.
What the channels are is said where they are laid out (`sr_jax.tasks.shared.triplets`).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import Convolution, xavier_init
from sr_jax.layers.spectral_norm import SpectralConvolution
from sr_jax.models.protocols import image_batch

NORMS = ('batch', 'spectral')
WIDTHS = (1, 1, 2, 4)  # of the blocks, each of which halves the size, in multiples of `features`
REGION = 2 ** len(WIDTHS)  # pixels of a side that one logit stands for
NEGATIVE_SLOPE = 0.2
EPSILON = 1e-3  # of batch norms


class SpatioTemporalDiscriminator(nn.Module):
    """The discriminator; the defaults are the published one's.

    Batch norms have a shift and no factor. Real and generated triplets pass apart, each normalised
    by itself, which makes their means equal: with few triplets in a batch such a discriminator has
    hardly learned (RESULTS.md, the part on a recurrent generator). Spectral norms (see
    `SpectralConvolution`) leave the means as they are.

    Attributes:
      features: channels of the first convolution.
      norm: of the blocks: 'batch', as published, or 'spectral'.
      channels: of what it sees: 27 as in TecoGAN, 18 as in DL-Art-School.
      dtype: name of the type that convolutions compute in; parameters and logits are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()

    features: int = 64
    channels: int = 27
    norm: str = 'batch'
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n examples that it can be called with."""
        return image_batch(n, 32, 48, self.channels)

    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h/16 w/16 1']:
        """Logits of regions of 16 pixels a side.

        Raises:
          InputError: other channels, sides under 16 pixels, or a norm that there is not.
        """
        return self.with_features(x, train)[0]

    @nn.compact
    def with_features(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> tuple[Float[Array, 'n h/16 w/16 1'], list[Float[Array, 'n _h _w _c']]]:
        """The logits, and what each block makes of the triplets."""
        if self.norm not in NORMS:
            raise InputError(f'norm is {self.norm!r}: it must be one of {NORMS}')
        if x.shape[-1] != self.channels or min(x.shape[1:3]) < REGION:
            raise InputError(
                f'this discriminator takes images of {self.channels} channels and sides of at '
                f'least {REGION}, not {x.shape[1]} x {x.shape[2]} of {x.shape[3]} channels'
            )
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        x = Convolution(
            self.features, 3, dtype=self.dtype, kernel_init=xavier_init(), name='conv_first'
        )(x)
        x = nn.leaky_relu(x, NEGATIVE_SLOPE)
        made = []
        for i, width in enumerate(WIDTHS):
            x = block(width * self.features, self.norm, self.dtype, name=f'block_{i}')(x, train)
            made.append(x)
        start = nn.initializers.xavier_uniform()
        return nn.Dense(1, kernel_init=start, name='last')(x.astype(jnp.float32)), made


class Block(nn.Module):
    """A 4 x 4 convolution of stride 2, with its norm, and a leaky ReLU."""

    features: int
    norm: str
    dtype: str

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h/2 w/2 features']:
        """Features at half the size, float32."""
        if self.norm == 'spectral':
            spectral = SpectralConvolution(self.features, 4, 2, self.dtype, name='conv')
            return nn.leaky_relu(spectral(x, train).astype(jnp.float32), NEGATIVE_SLOPE)
        conv = Convolution(
            self.features, 4, 2, self.dtype, False, kernel_init=xavier_init(), name='conv'
        )
        x = BatchNorm(EPSILON, use_scale=False, name='norm')(conv(x), train)
        return nn.leaky_relu(x, NEGATIVE_SLOPE)


Model = SpatioTemporalDiscriminator
