"""RRDBNet: the network of ESRGAN, of residual blocks in residual blocks of dense convolutions.

Wang et al. 2018, "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks"
(arXiv:1809.00219), section 3.1, as in BasicSR; scales 1 and 2 as in Real-ESRGAN, Wang et al. 2021
(arXiv:2107.10833), section 3.3; the blocks of ESRGAN+, Rakotonirina and Rasoanaivo 2020
(arXiv:2001.08073), section 3.1. Any of its convolutions but those around the blocks can be switched
ones, which the published network has not.
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers import winograd_dense
from sr_jax.layers.borders import find_inside, zero_outside
from sr_jax.layers.convolution import Convolution, convolve, kaiming_init
from sr_jax.layers.in_patches import in_patches
from sr_jax.layers.repeated import Loops, apply_repeated, is_loop, scan_blocks, stacked
from sr_jax.layers.resampling import pixel_unshuffle
from sr_jax.layers.switching import Switching, convolution
from sr_jax.layers.upsampling_head import NEGATIVE_SLOPE, UpsamplingHead
from sr_jax.models.protocols import image_batch

SCALES = (1, 2, 4, 8, 16)
UNSHUFFLED_SCALE = 4  # of the trunk, at least, where the input is laid out in channels
DENSE_BLOCKS = tuple(f'rdb_{i}' for i in range(3))  # of a block, by name
DENSE_RADIUS = 5  # 3 x 3 convolutions in a residual dense block
BLOCK_RADIUS = 3 * DENSE_RADIUS
HEAD_RADIUS = 2  # of the head's convolutions, which are at larger sizes
HEAD_PATCHES = 4  # along a patch of the blocks: the head's features take so much more memory
OTHER_RADIUS = 1 + 1 + HEAD_RADIUS  # the first one, the body's last one, the head
RESIDUAL_SCALE = 0.2
KAIMING = kaiming_init(0.1)


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each over x and all outputs before it; x plus 0.2 times the last one.

    Kernels start from Kaiming's normal distribution times 0.1, biases from zero.

    Attributes:
      growth: channels of the first four convolutions.
      dtype: name of the type computed in; parameters stay float32.
      switching: which convolutions are switched.
      plus: ESRGAN+'s: a 1 x 1 convolution of x is added to the second output, and that to the
        fourth. (Its noise, which is there in training alone, is not.)
      patch: as RRDBNet's.
    """

    growth: int = 32
    dtype: str = 'float32'
    switching: Switching = Switching()
    plus: bool = False
    patch: int = 0

    def __call__(self, x: Float[Array, 'n h w c'], train: bool = False) -> Float[Array, 'n h w c']:
        """Features of the same shape as x."""
        made = jax.ShapeDtypeStruct(x.shape, x.dtype)
        compute = functools.partial(ResidualDenseBlock.compute, train=train)
        side = min(self.patch, winograd_dense.PATCH) if _has_few_products(self, x) else self.patch
        return in_patches(self, x, made, side, DENSE_RADIUS, compute)

    @nn.compact
    def compute(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h w c']:
        """The same, of all of x at once."""

        def conv(i: int, features: int) -> nn.Module:
            return convolution(
                self,
                self.switching,
                f'conv_{i}',
                features,
                3,
                dtype=self.dtype,
                kernel_init=KAIMING,
            )

        def apply(module: nn.Module, *inputs: Array) -> Array:
            return module(jnp.concatenate(inputs, axis=-1), train)

        *growing, last = [*(conv(i, self.growth) for i in range(4)), conv(4, x.shape[-1])]
        if _has_few_products(self, x):
            return x + RESIDUAL_SCALE * _convolve_densely([*growing, last], x)
        outputs = [x, nn.leaky_relu(apply(growing[0], x), NEGATIVE_SLOPE)]
        pair = [module for module in growing[1:3] if isinstance(module, Convolution)]
        shortcut = self._shortcut(x) if self.plus else None
        if len(pair) == 2:  # neither is switched
            outputs += _two_outputs(pair, jnp.concatenate(outputs, axis=-1), shortcut)
        for module in growing[len(outputs) - 1 :]:
            y = nn.leaky_relu(apply(module, *outputs), NEGATIVE_SLOPE)
            if shortcut is not None and len(outputs) in (2, 4):
                y += shortcut if len(outputs) == 2 else outputs[2]
            outputs.append(y)
        return x + RESIDUAL_SCALE * apply(last, *outputs)

    def _shortcut(self, x: Array) -> Array:
        conv = Convolution(
            self.growth, 1, use_bias=False, dtype=self.dtype, kernel_init=KAIMING, name='conv_1x1'
        )
        return conv(x)


def _has_few_products(network: Any, x: Float[Array, 'n h w c']) -> bool:
    """Whether the dense blocks of a network, or one of them, are each computed in one piece."""
    plain = not (network.switching.layers or network.plus)
    widths = (*[network.growth] * 4, x.shape[-1])
    return plain and winograd_dense.is_quicker(x.astype(network.dtype), widths)


def _convolve_densely(
    convolutions: Sequence[Any], x: Float[Array, 'n h w c']
) -> Float[Array, 'n h w c']:
    """What the last of them makes, each of x and of what those before it made."""
    given = [x.shape[-1] + sum(conv.features for conv in convolutions[:i]) for i in range(5)]
    weights = [conv.weights(i) for conv, i in zip(convolutions, given, strict=True)]
    kernels, biases = zip(*weights, strict=True)
    x = x.astype(kernels[0].dtype)
    inside = find_inside(x.shape[1:3])
    return winograd_dense.convolve_densely(x, kernels, biases, NEGATIVE_SLOPE, inside)


def _two_outputs(
    pair: Sequence[Convolution], x: Float[Array, 'n h w c'], shortcut: Array | None
) -> list[Float[Array, 'n h w growth']]:
    """What the first of two makes of x, and the second of x and of that, activated.

    `shortcut` is added to the first.

    What both make of x is one convolution of twice the channels: on CPUs the whole block's forward
    pass takes 0.83 to 0.91 of the time, its backward pass 0.99 to 1.07.
    """
    (first, second), channels = pair, x.shape[-1]
    kernel, bias = first.weights(channels)
    wider, second_bias = second.weights(channels + first.features)
    assert bias is not None and second_bias is not None
    joint = jnp.concatenate([kernel, wider[:, :, :channels]], axis=-1)
    both = convolve(zero_outside(x.astype(joint.dtype)), joint)
    both += jnp.concatenate([bias, second_bias])[None, None, None]
    y = nn.leaky_relu(both[..., : first.features], NEGATIVE_SLOPE)
    if shortcut is not None:
        y += shortcut
    rest = both[..., first.features :] + convolve(zero_outside(y), wider[:, :, channels:])
    return [y, nn.leaky_relu(rest, NEGATIVE_SLOPE)]


class RRDB(nn.Module):
    """Three residual dense blocks; x plus 0.2 times what they make of it.

    Fields as theirs; `patch` as RRDBNet's.
    """

    growth: int = 32
    dtype: str = 'float32'
    switching: Switching = Switching()
    patch: int = 0
    plus: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c'], train: bool = False) -> Float[Array, 'n h w c']:
        """Features of the same shape as x."""
        fields = (self.growth, self.dtype, self.switching, self.plus, self.patch)
        make = functools.partial(ResidualDenseBlock, *fields)
        alike = not self.switching.layers
        h, _ = apply_repeated(self, make, DENSE_BLOCKS, x, train, alike=alike)
        return x + RESIDUAL_SCALE * h


def block_names(count: int) -> tuple[str, ...]:
    """Names of so many blocks in the parameters."""
    return tuple(f'block_{i}' for i in range(count))


def block_loops(count: int, *path: str) -> Loops:
    """Names of so many blocks, and before these those of the dense ones in each, by their paths."""
    names = block_names(count)
    return {**{(*path, name): DENSE_BLOCKS for name in names}, path: names}


class Features(NamedTuple):
    """What an RRDBNet has computed on the way to its image.

    Attributes:
      blocks: outputs of the blocks that were asked for.
      trunk: features at the input's size, of which the image is made.
      doubled: features after each doubling of the size and its leaky ReLU.
    """

    blocks: list[Float[Array, 'n h w c']]
    trunk: Float[Array, 'n h w c']
    doubled: list[Float[Array, 'n h2 w2 c']]


class RRDBNet(nn.Module):
    """BasicSR's RRDBNet; the defaults are ESRGAN's network.

    The trunk enlarges by 4, 8 or 16. For scales 2 and 1 the input is first laid out in channels (2
    x 2 or 4 x 4 pixels each), as in Real-ESRGAN. Start values: in the blocks Kaiming's normal times
    0.1 and biases of zero, elsewhere PyTorch's default (`Convolution`), as in BasicSR.

    Attributes:
      scale: output pixels per input pixel along a side: 1, 2, 4, 8 or 16.
      features: channels between the blocks.
      num_blocks: blocks of three residual dense blocks, of 15 convolutions in all.
      growth: channels that a convolution adds inside a residual dense block.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      switching: which convolutions are switched, and how; none by default. The paths are those of
        the parameters, such as 'block_0/rdb_0/conv_0' and 'conv_body'.
      skip_from_blocks: the last convolution of the trunk is added to the output of the blocks, as
        in SRFlow's encoder, not to that of the first convolution.
      patch: side of the patches, in pixels of the trunk, in which the blocks and the head are
        computed, for memory; 0: on the whole. For predicting: convolutions in blocks must not be
        switched ones, whose selectors look at everything.
      in_channels: of images given.
      out_channels: of images made.
      unshuffle: lay the input out in channels for scales 2 and 1. ESRGAN's of 2018 have fewer
        doublings instead.
      plus: the dense blocks are ESRGAN+'s.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks',)
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_blocks: int = 23
    growth: int = 32
    dtype: str = 'float32'
    remat: bool = False
    switching: Switching = Switching()
    skip_from_blocks: bool = False
    patch: int = 0
    in_channels: int = 3
    out_channels: int = 3
    unshuffle: bool = True
    plus: bool = False

    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 c2']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` concerns switched convolutions only.

        Raises:
          InputError: another scale than those, images of other channels, sides that do not divide
            by 2 (scale 2) or 4 (scale 1), or patches with switched convolutions.
        """
        return self._compute(x, (), train, whole_head=False)[0]

    def with_features(
        self, x: Float[Array, 'n h w c'], blocks: Sequence[int] = (), train: bool = False
    ) -> tuple[Float[Array, 'n h2 w2 c2'], Features]:
        """What `__call__` returns, and features; `blocks` are those whose outputs are wanted."""
        return self._compute(x, blocks, train, whole_head=True)

    @nn.compact
    def _compute(
        self, x: Array, blocks: Sequence[int], train: bool, whole_head: bool
    ) -> tuple[Array, Features]:
        """As `with_features`; without a whole head, there are no doubled features."""
        if self.patch and self.switching.layers:
            raise InputError(
                f'patch={self.patch}: switched convolutions look at the whole image, so that '
                'RRDBNet cannot be computed in patches with them'
            )
        x = self._unshuffle(x)
        first = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x)
        last, wanted = self._apply_blocks(first, blocks, train)
        body = convolution(self, self.switching, 'conv_body', self.features, 3, dtype=self.dtype)
        trunk = (last if self.skip_from_blocks else first) + body(last, train)
        enlarged = self.scale * self.multiple
        num_ups = enlarged.bit_length() - 1
        head = UpsamplingHead(num_ups, self.dtype, self.out_channels, name='head')
        doubled: list[Array] = []
        if whole_head:
            image, doubled = head.stages(trunk)
        else:
            h, w = (side * enlarged for side in trunk.shape[1:3])
            made = jax.ShapeDtypeStruct((trunk.shape[0], h, w, self.out_channels), jnp.float32)
            side = -(-self.patch // HEAD_PATCHES)
            image = in_patches(head, trunk, made, side, HEAD_RADIUS)
        return image, Features(wanted, trunk, doubled)

    def _apply_blocks(
        self, x: Array, wanted: Sequence[int], train: bool
    ) -> tuple[Array, list[Array]]:
        """What the last block makes, and the wanted ones."""
        names, alike = block_names(self.num_blocks), not self.switching.layers
        as_loop = _has_few_products(self, x)
        if not (wanted or self.remat) and is_loop(self, names, alike, as_loop):
            return self._loop_over_dense_blocks(x, stacked(self.variables['params'], names)), []
        block = nn.remat(RRDB, static_argnums=(2,)) if self.remat else RRDB
        make = functools.partial(
            block, self.growth, self.dtype, self.switching, self.patch, self.plus
        )
        return apply_repeated(
            *(self, make, names, x, train), wanted=wanted, alike=alike, as_loop=as_loop
        )

    def _loop_over_dense_blocks(self, x: Array, blocks: Any) -> Array:
        """What the last block makes, as one loop over the dense ones of all, which is compiled in
        three quarters of the time of a loop in a loop."""
        block: Any = ResidualDenseBlock(
            self.growth, self.dtype, plus=self.plus, patch=self.patch, parent=None
        )
        params = jax.tree.map(
            lambda p: p.reshape(-1, *p.shape[2:]), stacked(blocks, DENSE_BLOCKS, axis=1)
        )
        is_last = jnp.arange(len(DENSE_BLOCKS)) == len(DENSE_BLOCKS) - 1

        def apply(carry: tuple[Array, Array], of_one: Any) -> tuple[tuple[Array, Array], None]:
            h, start = carry
            params, is_end = of_one
            h = block.apply({'params': params}, h)
            h = jnp.where(is_end, start + RESIDUAL_SCALE * h, h)
            return (h, jnp.where(is_end, h, start)), None

        return scan_blocks(apply, (x, x), (params, jnp.tile(is_last, self.num_blocks)))[0][0]

    @property
    def loops(self) -> Loops:
        """See `sr_jax.models.protocols.Looping`; none where convolutions are switched."""
        return {} if self.switching.layers else block_loops(self.num_blocks)

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of.

        Raises:
          InputError: there is no such scale.
        """
        if self.scale not in SCALES:
            raise InputError(
                f'RRDBNet enlarges by 1, 2, 4, 8 or 16, not by {self.scale!r}: change scale'
            )
        return max(UNSHUFFLED_SCALE // self.scale, 1) if self.unshuffle else 1

    @property
    def halo(self) -> int | None:
        """Pixels around one on which its enlargement depends; None: on the whole image."""
        if self.switching.layers:
            return None
        return (BLOCK_RADIUS * self.num_blocks + OTHER_RADIUS) * self.multiple

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32, self.in_channels)

    def _unshuffle(self, x: Array) -> Array:
        factor = self.multiple
        height, width, channels = x.shape[1:]
        if channels != self.in_channels:
            raise InputError(
                f'RRDBNet of in_channels={self.in_channels} takes images of so many channels, not '
                f'of {channels}'
            )
        if height % factor or width % factor:
            raise InputError(
                f'RRDBNet of scale {self.scale} takes images whose sides are multiples of '
                f'{factor}, not {height} x {width}: crop or pad them'
            )
        return pixel_unshuffle(x, factor)


Model = RRDBNet
