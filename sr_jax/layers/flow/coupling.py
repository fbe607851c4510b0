"""Affine couplings that depend on other maps: the conditional steps of SRFlow.

Lugmayr et al. 2020, "SRFlow: Learning the Super-Resolution Space with Normalizing Flow"
(arXiv:2006.14200), section 3.3: the affine injector, equation 8, then the conditional affine
coupling, equation 7. As in the authors' code (andreas128/SRFlow, `CondAffineSeparatedAndCond`),
with scales sigmoid(s + 2) + 1e-4, which neither vanish nor grow: channels are made larger by
`ActNorm` alone. The inverse divides by them, though, and where latents lead it to what no image
has shown it may find 1e-4 step after step: Behrmann et al. 2021 (arXiv:2006.09347) on inverses that
explode. A larger `min_scale` bounds that.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import Convolution, normal_init
from sr_jax.layers.flow.act_norm import ActNorm
from sr_jax.layers.joint_convolution import JointConvolution
from sr_jax.layers.parameter import parameter

START_DEVIATION = 0.05  # of the kernels
MIN_SCALE = 1e-4
SCALE_SHIFT = 2.0
LOG_SCALE_FACTOR = 3.0
NORMAL = normal_init(START_DEVIATION)

Maps = Sequence[Float[Array, 'n h2 w2 c2']]


class ZeroConvolution(nn.Module):
    """A 3 x 3 convolution that begins with zeros, times exp(3 * log_scale) for each channel.

    Kingma and Dhariwal 2018 (arXiv:1807.03039): the last layer of a coupling, so that every flow
    begins near the identity.

    Attributes:
      features: channels of the output.
      dtype: name of the type that the convolution computes in; parameters and output are float32.
    """

    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w features']:
        """Returns the scaled convolution of x."""
        y = Convolution(
            self.features, 3, dtype=self.dtype, kernel_init=nn.initializers.zeros, name='conv'
        )(x)
        log_scale = parameter(self, 'log_scale', nn.initializers.zeros, (self.features,))
        return y.astype(jnp.float32) * jnp.exp(LOG_SCALE_FACTOR * log_scale)[None, None, None]


class CouplingNet(nn.Module):
    """From maps to shifts and scales: convolutions of 3, 1 and 3 taps, the first two normalised.

    Attributes:
      features: channels to be shifted and scaled.
      hidden: channels inside.
      dtype: name of the type that convolutions compute in.
      middle: taps along a side of the second convolution; 1 in the published networks.
      min_scale: that there can be; 1e-4 in the published networks.
    """

    features: int
    hidden: int
    dtype: str = 'float32'
    middle: int = 1
    min_scale: float = MIN_SCALE

    @nn.compact
    def __call__(
        self, maps: Maps
    ) -> tuple[Float[Array, 'n h w features'], Float[Array, 'n h w features']]:
        """Returns the shift and the scale, float32; the scale is within min_scale and 1 + 1e-4."""
        x = JointConvolution(self.hidden, NORMAL, self.dtype, name='conv_0')(maps)
        x = nn.relu(ActNorm(self.hidden, name='norm_0')(x)[0])
        x = Convolution(
            self.hidden,
            self.middle,
            dtype=self.dtype,
            use_bias=False,
            kernel_init=NORMAL,
            name='conv_1',
        )(x)
        x = nn.relu(ActNorm(self.hidden, name='norm_1')(x)[0])
        y = ZeroConvolution(2 * self.features, self.dtype, name='conv_2')(x)
        share = 1 + MIN_SCALE - self.min_scale
        return y[..., 0::2], share * jax.nn.sigmoid(y[..., 1::2] + SCALE_SHIFT) + self.min_scale


class ConditionalCoupling(nn.Module):
    """The affine injector, then the conditional affine coupling.

    With maps u and the channels z = (z1, z2) of a pixel:

      (t, s) = injector(u),       z <- (z + t) * s
      (t, s) = coupling(z1, u),   z2 <- (z2 + t) * s

    The log-determinant is the sum of log s over pixels and channels, of both.

    Attributes:
      channels: of z; z1 are the first channels // 2 of them.
      hidden: channels inside the two networks.
      dtype: name of the type that their convolutions compute in; z is float32.
      middle, min_scale: see `CouplingNet`.
    """

    channels: int
    hidden: int = 64
    dtype: str = 'float32'
    middle: int = 1
    min_scale: float = MIN_SCALE

    def setup(self) -> None:
        """Makes the parts."""
        self.kept = self.channels // 2
        fields = (self.hidden, self.dtype, self.middle, self.min_scale)
        self.injector = CouplingNet(self.channels, *fields)
        self.coupling = CouplingNet(self.channels - self.kept, *fields)

    def __call__(
        self, z: Float[Array, 'n h w c'], maps: Maps
    ) -> tuple[Float[Array, 'n h w c'], Float[Array, ' n']]:
        """Returns the coupled z, and the log-determinant.

        Args:
          z: float32.
          maps: each as large as z, or smaller by a whole factor: see `JointConvolution`.
        """
        shift, scale = self.injector(maps)
        z = (z + shift) * scale
        log_determinant = _sum_of_logarithms(scale)
        first, second = z[..., : self.kept], z[..., self.kept :]
        shift, scale = self.coupling([first, *maps])
        second = (second + shift) * scale
        log_determinant += _sum_of_logarithms(scale)
        return jnp.concatenate([first, second], axis=-1), log_determinant

    def inverse(self, z: Float[Array, 'n h w c'], maps: Maps) -> Float[Array, 'n h w c']:
        """Returns the z that was coupled."""
        first, second = z[..., : self.kept], z[..., self.kept :]
        shift, scale = self.coupling([first, *maps])
        z = jnp.concatenate([first, second / scale - shift], axis=-1)
        shift, scale = self.injector(maps)
        return z / scale - shift


def _sum_of_logarithms(scale: Float[Array, 'n h w c']) -> Float[Array, ' n']:
    return jnp.log(scale).sum((1, 2, 3))
