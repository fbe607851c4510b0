"""Discriminators: images to logits, high where an image is taken for a photograph.

vgg   one logit for an image of 128 or 256 pixels: the discriminator of SRGAN (Ledig et al. 2017,
      arXiv:1609.04802, figure 4) as ESRGAN uses it; BasicSR's VGGStyleDiscriminator. With group
      norm instead of batch norm it is DL-Art-School's. Here it takes images of 32, 64 and 96
      pixels too, by the same stages.
unet  one logit for every pixel: Real-ESRGAN's (Wang et al. 2021, arXiv:2107.10833, section 3.4),
      BasicSR's UNetDiscriminatorSN, of spectrally normalized convolutions.
"""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import Convolution, uniform_init
from sr_jax.layers.resampling import upsample_bilinear
from sr_jax.layers.spectral_norm import SpectralConvolution
from sr_jax.models.protocols import image_batch

FORMS = ('vgg', 'unet')
NORMS = ('batch', 'group')
# Of the stages of the VGG form, in multiples of `features`, by the size of the images, which each
# stage halves: down to 4 x 4 or less.
WIDTHS = {
    **dict.fromkeys((32, 64, 96, 128), (1, 2, 4, 8, 8)),
    256: (1, 2, 4, 8, 8, 8),
}
GROUPS = 8
HIDDEN = 100
NEGATIVE_SLOPE = 0.2


class Stage(nn.Module):
    """A 3 x 3 and a 4 x 4 convolution of stride 2, each with a norm and a leaky ReLU after it.

    The `first` stage has no norm after its first convolution, but a bias there.
    """

    features: int
    first: bool
    norm: str
    dtype: str

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h/2 w/2 features']:
        """Activated features at half the size."""
        for i, (taps, stride) in enumerate(((3, 1), (4, 2))):
            plain = self.first and i == 0
            x = Convolution(
                self.features, taps, stride, self.dtype, use_bias=plain, name=f'conv_{i}'
            )(x)
            x = x if plain else self._normalize(f'norm_{i}', x, train)
            x = nn.leaky_relu(x, NEGATIVE_SLOPE)
        return x

    def _normalize(self, name: str, x: Array, train: bool) -> Array:
        if self.norm == 'batch':
            return BatchNorm(name=name)(x, train)
        x = x.astype(jnp.float32)
        return nn.GroupNorm(GROUPS, epsilon=1e-5, use_fast_variance=False, name=name)(x)


class Discriminator(nn.Module):
    """A discriminator of either form; the defaults are ESRGAN's.

    Start values are PyTorch's defaults, as in BasicSR. Batch norms have running averages in the
    collection 'batch_stats' (see `BatchNorm`), spectral norms their vectors in 'spectral_norm'
    (see `SpectralConvolution`); in the originals every training call moves both.

    Attributes:
      form: 'vgg' or 'unet'.
      features: channels of the first convolution.
      size: height and width of the images of the vgg form: 128 or 256, as published, or 32, 64
        or 96; of no concern to 'unet'.
      norm: of the vgg form: 'batch', or 'group', with 8 groups.
      skips: of the unet form: what was before a halving is added after its doubling.
      dtype: name of the type that convolutions compute in; parameters and logits are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()

    form: str = 'vgg'
    features: int = 64
    size: int = 128
    norm: str = 'batch'
    skips: bool = True
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with: of its size, or of any (unet)."""
        sides = (self.size, self.size) if self.form == 'vgg' else (24, 32)
        return image_batch(n, *sides)

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w 3'], train: bool = False) -> Float[Array, 'n *hw 1']:
        """Logits of images in [0, 1]: [n, 1] of the vgg form, [n, h, w, 1] of the unet form.

        Raises:
          InputError: settings that do not exist, images of another size than `size` (vgg), or sides
            that are no multiples of 8 (unet).
        """
        if self.form not in FORMS:
            raise InputError(f'form is {self.form!r}: it must be one of {FORMS}')
        return getattr(self, f'_{self.form}')(x, train)

    def _vgg(self, x: Float[Array, 'n h w 3'], train: bool) -> Float[Array, 'n 1']:
        self._check_vgg(x.shape)
        stage = nn.remat(Stage, static_argnums=(2,)) if self.remat else Stage
        for i, width in enumerate(WIDTHS[self.size]):
            fields = (width * self.features, i == 0, self.norm, self.dtype)
            x = stage(*fields, name=f'stage_{i}')(x, train)
        x = x.astype(jnp.float32).reshape(len(x), -1)
        x = nn.leaky_relu(_dense(HIDDEN, x, 'linear_0'), NEGATIVE_SLOPE)
        return _dense(1, x, 'linear_1')

    def _check_vgg(self, shape: tuple[int, ...]) -> None:
        for name, value, valid in (
            ('size', self.size, tuple(WIDTHS)),
            ('norm', self.norm, NORMS),
        ):
            if value not in valid:
                raise InputError(f'{name} is {value!r}: it must be one of {valid}')
        if self.norm == 'group' and self.features % GROUPS:
            raise InputError(
                f'group norm needs features in {GROUPS} equal groups, not {self.features} features'
            )
        if shape[1:3] != (self.size, self.size):
            raise InputError(
                f'this discriminator takes images of {self.size} x {self.size}, not '
                f'{shape[1]} x {shape[2]}: crop them, or change size ({tuple(WIDTHS)})'
            )

    def _unet(self, x: Float[Array, 'n h w 3'], train: bool) -> Float[Array, 'n h w 1']:
        height, width = x.shape[1:3]
        if height % 8 or width % 8:
            raise InputError(
                'a U-Net discriminator takes images whose sides are multiples of 8, not '
                f'{height} x {width}: crop or pad them'
            )
        module = SpectralConvolution
        if self.remat:
            module = nn.remat(module, static_argnums=(2,))

        def conv(i: int, multiple: int, x: Array, taps: int = 3, stride: int = 1) -> Array:
            layer = module(multiple * self.features, taps, stride, self.dtype, name=f'conv_{i}')
            return nn.leaky_relu(layer(x, train), NEGATIVE_SLOPE)

        plain = functools.partial(Convolution, kernel_size=3, dtype=self.dtype)
        x = nn.leaky_relu(plain(self.features, name='conv_0')(x), NEGATIVE_SLOPE)
        skips = [x]
        for i, multiple in ((1, 2), (2, 4), (3, 8)):
            x = conv(i, multiple, x, 4, 2)
            skips.append(x)
        skips.pop()
        for i, multiple in ((4, 4), (5, 2), (6, 1)):
            x = conv(i, multiple, upsample_bilinear(x, 2))
            x = x + skips.pop() if self.skips else x
        x = conv(8, 1, conv(7, 1, x))
        return plain(1, name='conv_9')(x).astype(jnp.float32)


def _dense(features: int, x: Float[Array, 'n c'], name: str) -> Float[Array, 'n features']:
    """A linear layer with PyTorch's start values, as a submodule of the module that calls it."""
    start = uniform_init(x.shape[-1])
    return nn.Dense(features, kernel_init=start, bias_init=start, name=name)(x)


Model = Discriminator
