"""StyleGAN2's generator: latents to images (Karras et al. 2019, arXiv:1912.04958).

A mapping network makes a style of a latent; the synthesis network makes the image, from a learned
constant of 4 x 4 pixels on, by convolutions that styles modulate. Noise is added after each of
them, and each resolution adds to the image ("skips", section 4.1, figure 7 b; the paper's
configuration F without its wider layers of 64 pixels and more is channel_base=16384).

NVlabs' programs, rosinality/stylegan2-pytorch, BasicSR and mmagic all have this network; they
differ in how they draw and average, not here. DL-Art-School's copy of lucidrains' is another one
(one style for two convolutions, bilinear enlargement), and is not made here.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.convolution import normal_init
from sr_jax.layers.equalized import EqualizedLinear, activate
from sr_jax.layers.modulated_convolution import ModulatedConvolution
from sr_jax.layers.parameter import parameter
from sr_jax.layers.resolutions import START, channels_at, check_size, sides
from sr_jax.layers.switching import Switching
from sr_jax.layers.upfirdn import upsample
from sr_jax.models.protocols import Limits

NOISE = 'noise'  # the collection of the maps that are added where none are given
EPSILON = 1e-8
# Given the side of a resolution, its features and its image: what goes on to the next one.
Fuse: TypeAlias = Callable[[int, Array, Array], tuple[Array, Array]]


class StyledConvolution(nn.Module):
    """A modulated convolution, noise, a bias and an activation.

    Attributes:
      features: channels of the output.
      doubling: whether the sides are doubled.
      switching: which convolutions are switched.
      dtype: name of the type computed in and returned.
    """

    features: int
    doubling: bool
    switching: Switching
    dtype: str

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'n h w c'],
        style: Float[Array, 'n d'],
        noise: Float[Array, 'n_or_1 h2 w2 1'],
        train: bool = False,
    ) -> Float[Array, 'n h2 w2 features']:
        """Features of the next layer; the noise is as large as they are."""
        layer = ModulatedConvolution(
            self.features,
            resampling='up' if self.doubling else '',
            switching=self.switching,
            dtype=self.dtype,
            name='modulated',
        )
        x = layer(x, style, train)
        strength = parameter(self, 'noise_strength', nn.initializers.zeros, (1,))
        bias = parameter(self, 'bias', nn.initializers.zeros, (self.features,))
        x = x + (strength[0] * noise).astype(x.dtype)
        return activate(x + bias.astype(x.dtype)[None, None, None])


class ToRGB(nn.Module):
    """A modulated convolution of one tap, not demodulated, whose output is added to the image.

    Attributes:
      channels: of the image.
      switching: which convolutions are switched.
      dtype: name of the type computed in; the image is float32.
    """

    channels: int
    switching: Switching
    dtype: str

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'n h w c'],
        style: Float[Array, 'n d'],
        image: Float[Array, 'n h/2 w/2 channels'] | None,
        train: bool = False,
    ) -> Float[Array, 'n h w channels']:
        """The image so far, at twice its resolution, and what these features add to it."""
        layer = ModulatedConvolution(
            *(self.channels, 1),
            demodulated=False,
            switching=self.switching,
            dtype=self.dtype,
            name='modulated',
        )
        y = layer(x, style, train).astype(jnp.float32)
        y += parameter(self, 'bias', nn.initializers.zeros, (self.channels,))[None, None, None]
        return y if image is None else y + upsample(image)


class Generator(nn.Module):
    """The generator; the defaults are those of configuration F for images of 256 pixels.

    Its fixed noise lies in the collection 'noise'.

    Attributes:
      size: side of the images, a power of two from 8 to 1024.
      latent_size: numbers of a latent and of a style.
      num_mapping: layers of the mapping network.
      mapping_rate: what its learning rate is multiplied by.
      channel_base: channels times the side of a resolution; 16384 for half as many.
      channel_max: channels of a resolution at the most.
      channels: of the images.
      switching: which convolutions are switched, and how.
      dtype: name of the type that convolutions compute in; styles, parameters and the image are
        float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_mapping',)
    LIMITS: ClassVar[Limits] = {'mapping_rate': (1e-6, math.inf)}  # it is divided by

    size: int = 256
    latent_size: int = 512
    num_mapping: int = 8
    mapping_rate: float = 0.01
    channel_base: int = 32768
    channel_max: int = 512
    channels: int = 3
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    @property
    def num_styles(self) -> int:
        """How many layers take a style: two of each resolution."""
        return 2 * len(sides(self.size))

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """The sides of the noise of each convolution, in order.

        Raises:
          InputError: a size that is no power of two.
        """
        check_size(self.size)
        return (START, *(side for side in sides(self.size)[1:] for _ in range(2)))

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """The latents of n images."""
        return jax.ShapeDtypeStruct((n, self.latent_size), jnp.float32)

    def __call__(
        self, z: Float[Array, 'n latent_size'], train: bool = False
    ) -> Float[Array, 'n size size channels']:
        """Images of latents of N(0, 1), with the fixed noise; on the scale of [0, 1].

        They are not clipped.

        Raises:
          InputError: a size that is no power of two.
        """
        styles = jnp.repeat(self.map_latents(z)[:, None], self.num_styles, axis=1)
        return self.synthesize(styles, train=train)

    @nn.compact
    def map_latents(self, z: Float[Array, 'n latent_size']) -> Float[Array, 'n d']:
        """Returns the styles of latents."""
        z = z.astype(jnp.float32)
        h = z * lax.rsqrt(jnp.mean(jnp.square(z), axis=1, keepdims=True) + EPSILON)
        for i in range(self.num_mapping):
            h = EqualizedLinear(
                self.latent_size, self.mapping_rate, activated=True, name=f'mapping_{i}'
            )(h)
        return h

    @nn.compact
    def synthesize(
        self,
        styles: Float[Array, 'n num_styles d'],
        noise: Sequence[Float[Array, 'n_or_1 s s 1']] | None = None,
        train: bool = False,
        fuse: Fuse | None = None,
    ) -> Float[Array, 'n size size channels']:
        """Returns the images of a style for each layer.

        The last style of a resolution, which makes its image, is the first one of the next.

        Args:
          styles: one for each layer.
          noise: of each convolution, as large as its output; None: the fixed one.
          train: whether selectors of switched convolutions are trained.
          fuse: what another network does to the features and the image of each resolution.

        Raises:
          InputError: a size that is no power of two.
        """
        check_size(self.size)
        noise = self._fixed_noise() if noise is None else noise
        most = channels_at(START, self.channel_base, self.channel_max)
        x = parameter(self, 'constant', normal_init(1.0), (START, START, most))
        x = jnp.broadcast_to(x[None], (len(styles), *x.shape)).astype(self.dtype)
        styled, to_rgb = StyledConvolution, ToRGB
        if self.remat:
            styled = nn.remat(StyledConvolution, static_argnums=(4,))
            to_rgb = nn.remat(ToRGB, static_argnums=(4,))
        image, fields = None, (self.switching, self.dtype)
        for i, side in enumerate(sides(self.size)):
            features = channels_at(side, self.channel_base, self.channel_max)
            if i:
                up = styled(features, True, *fields, name=f'up_{side}')
                x = up(x, styles[:, 2 * i - 1], noise[2 * i - 1], train)
            conv = styled(features, False, *fields, name=f'conv_{side}')
            x = conv(x, styles[:, 2 * i], noise[2 * i], train)
            rgb = to_rgb(self.channels, *fields, name=f'rgb_{side}')
            image = rgb(x, styles[:, 2 * i + 1], image, train)
            x, image = fuse(side, x, image) if fuse else (x, image)
        assert image is not None  # there are several resolutions
        return (image + 1) / 2

    def _fixed_noise(self) -> list[Float[Array, '1 s s 1']]:
        def draw(side: int) -> Array:
            numbers = jax.random.normal(self.make_rng('params'), (side**2,), jnp.float32)
            return numbers.reshape(side, side)

        maps = [
            self.variable(NOISE, f'{i:02d}', draw, side).value
            for i, side in enumerate(self.noise_sides)
        ]
        return [map_[None, :, :, None] for map_ in maps]


Model = Generator
