"""Motion between frames: estimated by a network, enlarged, and undone by warping.

As in TecoGAN (Chu et al. 2020, arXiv:1811.09393; thunil/TecoGAN, `lib/frvsr.py`, `lib/ops.py`),
whose network is that of FRVSR, Sajjadi et al. 2018 (arXiv:1801.04590), figure 2. A motion is [n,
h, w, 2], down and right, in pixels: what is at (y, x) in the later frame was at (y, x) minus the
motion there in the earlier one. PyTorch's `grid_sample` has the axes the other way round.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, xavier_init
from sr_jax.layers.resampling import upsample_from_corner

MAX_MOTION = 24.0  # pixels along an axis
GRID = 8  # pixels: the network halves the size three times
NEGATIVE_SLOPE = 0.2
# Pixels around one on which the network's motion there depends, going back through its layers.
HALO = 65


def warp(
    image: Float[Array, 'n h w c'], motion: Float[Array, 'n h w 2']
) -> Float[Array, 'n h w c']:
    """Returns the image with its pixels moved: at (y, x), what is at (y, x) - motion in it.

    Linear between pixels; beyond the edges the outer pixels repeat. TensorFlow's
    `dense_image_warp`.

    Args:
      image: with sides of two pixels or more.
      motion: down and right, in pixels of the image.
    """
    n, height, width, channels = image.shape
    rows = jnp.arange(height, dtype=jnp.float32)[None, :, None] - motion[..., 0]
    columns = jnp.arange(width, dtype=jnp.float32)[None, None, :] - motion[..., 1]
    top, down = _split(rows, height)
    left, right = _split(columns, width)
    flat = image.reshape(n, height * width, channels)
    first = (top * width + left).reshape(n, -1)

    def pixels(offset: int) -> Array:
        take = jax.vmap(lambda values, at: values.at[at].get(mode='promise_in_bounds'))
        return take(flat, first + offset).reshape(image.shape)

    upper = pixels(0) + right * (pixels(1) - pixels(0))
    lower = pixels(width) + right * (pixels(width + 1) - pixels(width))
    return upper + down * (lower - upper)


def _split(
    position: Float[Array, 'n h w'], size: int
) -> tuple[Int[Array, 'n h w'], Float[Array, 'n h w 1']]:
    """Returns the pixel before a position, which has one after it, and the weight of that one."""
    before = jnp.clip(jnp.floor(position), 0, size - 2)
    weight = jnp.clip(position - before, 0, 1)
    return before.astype(jnp.int32), weight[..., None]


def enlarge_motion(
    motion: Float[Array, 'n h w 2'], scale: int
) -> Float[Array, 'n scale*h scale*w 2']:
    """Returns the motion of images `scale` times as large, in their pixels."""
    return upsample_from_corner(scale * motion, scale)


class MotionNetwork(nn.Module):
    """Estimates the motion from one frame to the next, at most 24 pixels along an axis.

    An encoder and decoder without skips: the size is halved three times and doubled again. Rows and
    columns beyond the last multiple of 8 are not looked at; the motion is mirrored into them.

    Attributes:
      features: channels at the full size; 32 as published.
      dtype: name of the type computed in; parameters and motions are float32.
    """

    features: int = 32
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, earlier: Float[Array, 'n h w 3'], later: Float[Array, 'n h w 3']
    ) -> Float[Array, 'n h w 2']:
        """The motion, by which `warp` brings the earlier frame to where the later one is.

        Raises:
          InputError: frames of less than 8 pixels a side.
        """
        height, width = earlier.shape[1:3]
        if min(height, width) < GRID:
            raise InputError(
                f'motion is estimated of frames of at least {GRID} pixels a side, not {height} x '
                f'{width}'
            )
        x = jnp.concatenate([earlier, later], axis=-1)
        x = x[:, : height // GRID * GRID, : width // GRID * GRID]
        for i, widening in enumerate((1, 2, 4)):
            x = self._convolve_twice(f'encoder_{i}', widening, x)
            x = nn.max_pool(x, (2, 2), (2, 2))
        for i, widening in enumerate((8, 4, 2)):
            x = self._convolve_twice(f'decoder_{i}', widening, x)
            x = upsample_from_corner(x, 2)
        x = self._convolve('last_0', self.features, x)
        x = Convolution(2, 3, dtype=self.dtype, kernel_init=xavier_init(), name='last_1')(x)
        motion = MAX_MOTION * jnp.tanh(x.astype(jnp.float32))
        rest = ((0, 0), (0, height % GRID), (0, width % GRID), (0, 0))
        return jnp.pad(motion, rest, mode='symmetric')

    def _convolve_twice(self, name: str, widening: int, x: Array) -> Array:
        for i in range(2):
            x = self._convolve(f'{name}_{i}', widening * self.features, x)
        return x

    def _convolve(self, name: str, features: int, x: Array) -> Array:
        conv = Convolution(features, 3, dtype=self.dtype, kernel_init=xavier_init(), name=name)
        return nn.leaky_relu(conv(x), NEGATIVE_SLOPE)
