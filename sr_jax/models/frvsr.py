"""Recurrent super-resolution of films: each frame is enlarged with the last result in sight.

The generator of TecoGAN, Chu et al. 2020 (arXiv:1811.09393; thunil/TecoGAN, `lib/frvsr.py`), in the
loop of FRVSR, Sajjadi et al. 2018 (arXiv:1801.04590): the last result is moved to where the new
frame is, laid out in channels beside it, and both are enlarged. An RRDBNet or a Compact can take
the generator's place in the same loop.
"""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, convolve, xavier_init
from sr_jax.layers.motion import GRID, HALO, MotionNetwork, enlarge_motion, warp
from sr_jax.layers.parameter import parameter
from sr_jax.layers.resampling import pixel_shuffle, pixel_unshuffle, upsample_from_corner
from sr_jax.models.protocols import image_batch
from sr_jax.models.rrdb import RRDBNet
from sr_jax.models.srvgg import SRVGGNetCompact

SCALES = (2, 4, 8)


class Memory(NamedTuple):
    """What a frame leaves to the next one; zeros before the first.

    Attributes:
      frame: the small frame.
      image: what was made of it, in [0, 1], not clipped.
    """

    frame: Float[Array, 'n h w 3']
    image: Float[Array, 'n h2 w2 3']


class DoublingConvolution(nn.Module):
    """A transposed 3 x 3 convolution of stride 2, aligned as TensorFlow's 'SAME' is.

    Pixel (y, x) is added to (2 y, 2 x) to (2 y + 2, 2 x + 2), times the kernel; what lies outside
    of twice the size is dropped. It is computed as a convolution of 2 x 2 taps whose channels
    become pixels: on CPUs XLA's gradient of a strided transposed one is many times as slow.
    """

    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n 2*h 2*w features']:
        """Features at twice the size."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = jnp.asarray(parameter(self, 'kernel', xavier_init(), shape), self.dtype)
        bias = parameter(self, 'bias', nn.initializers.zeros, (self.features,))
        # Even pixels see the pixel before with tap 2 and their own with tap 0, odd ones tap 1.
        taps = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
        phases = [
            taps[jnp.array(rows)][:, jnp.array(columns)]
            for rows in ((2, 0), (3, 1))
            for columns in ((2, 0), (3, 1))
        ]
        joint = jnp.stack(phases, axis=-1).reshape(2, 2, x.shape[-1], -1)
        padded = jnp.pad(x.astype(self.dtype), ((0, 0), (1, 0), (1, 0), (0, 0)))
        doubled = pixel_shuffle(convolve(padded, joint), 2)
        return doubled + jnp.asarray(bias, self.dtype)[None, None, None]


class Generator(nn.Module):
    """TecoGAN's generator: residual blocks, transposed convolutions, and the frame, enlarged.

    Attributes:
      scale: output pixels per input pixel along a side: 2, 4 or 8.
      features: channels inside.
      num_blocks: residual blocks.
      center: what is subtracted from the images in the channels.
      dtype: name of the type computed in; parameters and images are float32.
    """

    scale: int
    features: int
    num_blocks: int
    center: float = 0.0
    dtype: str = 'float32'

    @property
    def halo(self) -> int:
        """Pixels around one on which its enlargement depends."""
        return 2 * self.num_blocks + 2

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images in [0, 1], not clipped; the first three channels are the frame."""
        frame = x[..., :3].astype(jnp.float32)
        x = nn.relu(self._conv('conv_first', x - self.center))
        for i in range(self.num_blocks):
            h = nn.relu(self._conv(f'block_{i}_0', x))
            x = x + self._conv(f'block_{i}_1', h)
        for i in range(self.scale.bit_length() - 1):
            x = nn.relu(DoublingConvolution(self.features, self.dtype, name=f'up_{i}')(x))
        last = Convolution(3, 3, dtype=self.dtype, kernel_init=xavier_init(), name='conv_last')
        enlarged = upsample_from_corner(frame, self.scale, 'cubic')
        return enlarged + last(x).astype(jnp.float32)

    def _conv(self, name: str, x: Array) -> Array:
        conv = Convolution(self.features, 3, dtype=self.dtype, kernel_init=xavier_init(), name=name)
        return conv(x)


def _make_residual(net: 'FRVSR', **parent: Any) -> nn.Module:
    return Generator(
        net.scale, net.features, net.num_blocks, net.center, net.dtype, **parent
    )


def _make_rrdb(net: 'FRVSR', **parent: Any) -> nn.Module:
    return RRDBNet(
        net.scale,
        net.features,
        net.num_blocks,
        net.growth,
        net.dtype,
        in_channels=3 + 3 * net.scale**2,
        unshuffle=False,
        **parent,
    )


def _make_compact(net: 'FRVSR', **parent: Any) -> nn.Module:
    return SRVGGNetCompact(net.scale, net.features, net.num_blocks, dtype=net.dtype, **parent)


BODIES = {'residual': _make_residual, 'rrdb': _make_rrdb, 'compact': _make_compact}


class FRVSR(nn.Module):
    """A recurrent network; the defaults are TecoGAN's.

    Called with images, it takes each as the first frame of a film. Films go through `step`.

    Attributes:
      body: what enlarges: 'residual', TecoGAN's generator; 'rrdb', an RRDBNet; 'compact', an
        SRVGGNetCompact.
      scale: output pixels per input pixel along a side: 2, 4 or 8.
      features: channels of the body.
      num_blocks: of the body: residual blocks, blocks of an RRDBNet, or a Compact's convolutions
        between the first and the last.
      growth: channels that a convolution adds in a dense block of an RRDBNet.
      motion_features: channels of the network that estimates motion, at the full size.
      center: what the residual body subtracts from the images that it sees. With 0, as published,
        all of its 51 first channels are positive, and a rate of 5e-4 moves what all of them add up
        to so far in each step that most of the first ReLUs are never above 0 again; with 0.5 they
        live.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: keep of each frame only what it leaves to the next, and recompute the rest in the
        backward pass.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks',)
    multiple: ClassVar[int] = 1
    step_multiple: ClassVar[int] = GRID
    input_size: ClassVar[None] = None

    body: str = 'residual'
    scale: int = 4
    features: int = 64
    num_blocks: int = 16
    growth: int = 32
    motion_features: int = 32
    center: float = 0.0
    dtype: str = 'float32'
    remat: bool = False

    def setup(self) -> None:
        """Makes both networks."""
        self.generator = _make_body(self)
        self.motion = MotionNetwork(self.motion_features, self.dtype)

    @property
    def halo(self) -> int:
        """Pixels around one on which the enlargement of a first frame depends."""
        halo: int = _make_body(self, parent=None).halo
        return halo

    @property
    def step_halo(self) -> int:
        """Pixels around one on which the enlargement of a later frame depends."""
        return self.halo + HALO + 1  # 1 of the motion, enlarged; what moved came less far

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    def __call__(
        self, x: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        Raises:
          InputError: no such body or scale.
        """
        if self.is_initializing():
            self.motion(x, x)
        return self._enlarge(x, self.start(x).image, train)

    def start(self, frame: Float[Array, 'n h w 3']) -> Memory:
        """What the first frame of a film finds, of the size of a frame."""
        n, height, width, channels = frame.shape
        large = (n, height * self.scale, width * self.scale, channels)
        return Memory(jnp.zeros(frame.shape, jnp.float32), jnp.zeros(large, jnp.float32))

    def step(
        self, memory: Memory, frame: Float[Array, 'n h w 3'], train: bool = False
    ) -> tuple[Memory, Float[Array, 'n h w 2']]:
        """What a frame leaves, its image among that, and the motion from the last frame to it."""
        motion = self.motion(memory.frame, frame)
        moved = warp(memory.image, enlarge_motion(motion, self.scale))
        return Memory(frame, self._enlarge(frame, moved, train)), motion

    def estimate_motion(
        self, earlier: Float[Array, 'n h w 3'], later: Float[Array, 'n h w 3']
    ) -> Float[Array, 'n h w 2']:
        """The motion from one frame to another, as in `step`."""
        motion: Array = self.motion(earlier, later)
        return motion

    def _enlarge(self, frame: Array, moved: Array, train: bool) -> Array:
        beside = pixel_unshuffle(moved, self.scale)
        image: Array = self.generator(jnp.concatenate([frame, beside], axis=-1), train)
        return image


def _make_body(net: FRVSR, **parent: Any) -> Any:
    """The network that enlarges; `parent=None` makes it a network by itself."""
    if net.body not in BODIES:
        raise InputError(f'a recurrent network has no body {net.body!r}, but {", ".join(BODIES)}')
    if net.scale not in SCALES:
        raise InputError(f'a recurrent network enlarges by 2, 4 or 8, not by {net.scale!r}')
    return BODIES[net.body](net, **parent)


Model = FRVSR
