"""PixelSNAIL over a map of codes, as the published reimplementation of VQ-VAE-2 has it.

Chen et al. 2017 (arXiv:1712.09763) as in rosinality/vq-vae-2-pytorch: gated residual blocks of
causal convolutions, and attention to all codes before. The network of the bottom codes sees the
top codes, through a residual network, at twice their size.

All convolutions are weight-normalised. Inputs are shifted once, so that the features of a code
come from the codes before it alone; of the convolutions of the blocks 'causal' leaves the code at
hand out besides, as there.

Where we differ: the classes, of which that code knows none. Their vectors are added to the
features that enter the blocks.
"""

import functools
import math
from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.errors import InputError
from sr_jax.layers.causal_attention import CausalAttention
from sr_jax.layers.class_embedding import ClassEmbedding
from sr_jax.layers.convolution import upsample_nearest
from sr_jax.layers.gated_block import GatedBlock
from sr_jax.layers.weight_norm import Padding, WeightNormConvolution
from sr_jax.models.protocols import Limits, code_batch

MAX_KERNEL = 99  # taps along a side: more than maps of codes have


class PixelBlock(nn.Module):
    """Gated residual blocks, then attention over them or a convolution of one tap.

    Attributes:
      channels: of the features.
      num_res_blocks: gated blocks.
      res_channels: inside of them.
      kernel_size: of them.
      attention: whether there is attention.
      heads: of it.
      conditioned: whether there is a condition.
      dropout: see `GatedBlock`.
      dtype: name of the type computed in.
    """

    channels: int
    num_res_blocks: int
    res_channels: int
    kernel_size: int
    attention: bool
    heads: int
    conditioned: bool
    dropout: float
    dtype: str

    def setup(self) -> None:
        """Names the parts."""
        channels = self.channels
        gated = functools.partial(GatedBlock, dropout=self.dropout, dtype=self.dtype)
        causal = functools.partial(gated, causal=True, conditioned=self.conditioned)
        shape = channels, self.res_channels, self.kernel_size
        self.res = [causal(*shape) for _ in range(self.num_res_blocks)]
        self.out: Any
        if self.attention:
            self.key = gated(2 * channels + 2, channels)
            self.query = gated(channels + 2, channels)
            self.attend = CausalAttention(channels // 2, self.heads, self.dropout, self.dtype)
            self.out = gated(channels, channels, aux_channels=channels // 2)
        else:
            self.out = WeightNormConvolution(channels, dtype=self.dtype)

    def __call__(
        self,
        x: Float[Array, 'n h w c'],
        grid: Float[Array, 'n h w 2'],
        condition: Float[Array, 'n h w d'] | None,
        train: bool,
    ) -> Float[Array, 'n h w c']:
        """Returns features of the same shape."""
        h = x
        for block in self.res:
            h = block(h, None, condition, train)
        if not self.attention:
            return self.out(jnp.concatenate([h, grid], axis=-1))
        key = self.key(jnp.concatenate([x, h, grid], axis=-1), train=train)
        query = self.query(jnp.concatenate([h, grid], axis=-1), train=train)
        return self.out(h, self.attend(query, key, train), train=train)

    def start(self, n: int, height: int, width: int) -> dict[str, Any]:
        """Returns the caches before the first row."""
        cache: dict[str, Any] = {'res': [block.start(n, width) for block in self.res]}
        if self.attention:
            cache['attend'] = self.attend.start(n, height * width)
        return cache

    def start_row(
        self, cache: dict[str, Any], condition: Float[Array, 'n w d'] | None
    ) -> dict[str, Any]:
        """Returns the caches at the start of the next row."""
        pairs = zip(self.res, cache['res'], strict=True)
        return {**cache, 'res': [block.start_row(own, condition) for block, own in pairs]}

    def step(
        self,
        cache: dict[str, Any],
        x: Float[Array, 'n c'],
        grid: Float[Array, 'n 2'],
        column: Int[Array, ''],
        place: Int[Array, ''],
    ) -> tuple[Float[Array, 'n c'], dict[str, Any]]:
        """Returns the features of the code at a place, which lies in that column."""
        h, kept = x, []
        for block, own in zip(self.res, cache['res'], strict=True):
            h, own = block.step(own, h, column)
            kept.append(own)
        cache = {**cache, 'res': kept}
        if not self.attention:
            return self.out.at(jnp.concatenate([h, grid], axis=-1)), cache
        key = self.key.at(jnp.concatenate([x, h, grid], axis=-1))
        query = self.query.at(jnp.concatenate([h, grid], axis=-1))
        found, attend = self.attend.step(cache['attend'], query, key, place)
        return self.out.at(h, found), {**cache, 'attend': attend}


class ConditionNetwork(nn.Module):
    """Features of the map of codes above: a convolution and gated blocks, none of them causal.

    Attributes:
      channels: of the features.
      num_blocks: gated blocks.
      kernel_size: of all convolutions.
      dtype: name of the type computed in.
    """

    channels: int
    num_blocks: int
    kernel_size: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h w channels']:
        """Returns features of one-hot codes."""
        size, half = self.kernel_size, self.kernel_size // 2
        padding = Padding(half, half, half, half)
        conv = WeightNormConvolution(
            self.channels, (size, size), padding, dtype=self.dtype, name='conv'
        )
        x = conv(x)
        for i in range(self.num_blocks):
            block = GatedBlock(self.channels, self.channels, size, dtype=self.dtype, name=f'{i}')
            x = block(x, train=train)
        return x


class Sampling(flax.struct.PyTreeNode):
    """What does not change while maps are drawn.

    Attributes:
      label: the vectors of their classes; None where there are none.
      condition: features of the codes above, as large as the map; None where there are none.
    """

    label: Float[Array, 'n c'] | None
    condition: Float[Array, 'n h w d'] | None


class PixelSNAIL(nn.Module):
    """The network of one level; the defaults are those of the published top level.

    Attributes:
      codes: how many codes there are; 0, as `height` and `width`, while a config does not know it.
      height, width: of the map.
      channels: features of the blocks; with attention, half of them are a multiple of `heads`.
      kernel_size: of the causal convolutions.
      num_blocks: blocks, each with its attention.
      num_res_blocks: gated blocks in each of them.
      res_channels: features inside of a gated block.
      attention: whether there is attention (at the bottom there is none, as published).
      heads: of the attention.
      dropout: share of features and attention weights that is dropped in training.
      num_condition_blocks: gated blocks of the network over the codes above; 0: none are seen.
      condition_codes: how many codes there are above; 0: as many as here.
      condition_channels: features of that network.
      condition_kernel: of its convolutions.
      num_out_blocks: gated blocks of one tap before the logits.
      classes: of images; 0: they are not told.
      dtype: name of the type computed in; parameters and logits are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = (
        'num_blocks',
        'num_res_blocks',
        'num_condition_blocks',
        'num_out_blocks',
    )
    LIMITS: ClassVar[Limits] = {
        **dict.fromkeys(('codes', 'height', 'width'), (0, math.inf)),
        'dropout': (0, 1),
        'kernel_size': (3, MAX_KERNEL),
        'condition_kernel': (1, MAX_KERNEL),
    }

    codes: int = 512
    height: int = 32
    width: int = 32
    channels: int = 256
    kernel_size: int = 5
    num_blocks: int = 4
    num_res_blocks: int = 4
    res_channels: int = 256
    attention: bool = True
    heads: int = 8
    dropout: float = 0.1
    num_condition_blocks: int = 0
    condition_codes: int = 0
    condition_channels: int = 256
    condition_kernel: int = 3
    num_out_blocks: int = 0
    classes: int = 0
    dtype: str = 'float32'
    remat: bool = False

    def setup(self) -> None:
        """Names the parts; InputError for a kernel that has no middle."""
        for key in ('kernel_size', 'condition_kernel'):
            if getattr(self, key) % 2 == 0:
                raise InputError(f'{key} is {getattr(self, key)}: it must be odd')
        size = self.kernel_size + (self.kernel_size + 1) % 2
        half, upper = size // 2, (size + 1) // 2
        self.horizontal = WeightNormConvolution(
            self.channels, (half, size), Padding(half - 1, 0, half, half), dtype=self.dtype
        )
        self.vertical = WeightNormConvolution(
            self.channels, (upper, half), Padding(upper - 1, 0, half - 1, 0), dtype=self.dtype
        )
        self.grid = self.variable('grid', 'background', make_grid, self.height, self.width)
        block = nn.remat(PixelBlock, static_argnums=(4,)) if self.remat else PixelBlock
        sizes = self.channels, self.num_res_blocks, self.res_channels, self.kernel_size
        fields = *sizes, self.attention, self.heads, self.conditioned, self.dropout, self.dtype
        self.blocks = [block(*fields) for _ in range(self.num_blocks)]
        if self.conditioned:
            shape = self.condition_channels, self.num_condition_blocks, self.condition_kernel
            self.above = ConditionNetwork(*shape, self.dtype)
        if self.classes:
            self.label = ClassEmbedding(self.classes, self.channels)
        self.out = [
            GatedBlock(self.channels, self.res_channels, dropout=self.dropout, dtype=self.dtype)
            for _ in range(self.num_out_blocks)
        ]
        self.logits = WeightNormConvolution(self.codes, dtype=self.dtype)

    @property
    def conditioned(self) -> bool:
        """Whether it sees the codes above."""
        return self.num_condition_blocks > 0

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n maps of codes that it can be called with."""
        return code_batch(n, self.height, self.width)

    def __call__(
        self,
        codes: Int[Array, 'n h w'],
        condition: Int[Array, 'n h2 w2'] | None = None,
        label: Int[Array, ' n'] | None = None,
        train: bool = False,
    ) -> Float[Array, 'n h w codes']:
        """Returns the logits of each code, of the codes before it in reading order.

        Args:
          codes: the map.
          condition: the codes above, half as high and wide.
          label: the class of each, `classes` for none; None: none of any.
          train: whether features are dropped (by the key 'dropout').
        """
        fixed = self.start(len(codes), condition, label, train)
        # Both see the rows above and the columns before, since what they give is shifted.
        one_hot = jax.nn.one_hot(codes, self.codes, dtype=self.dtype)
        rows = jnp.pad(self.horizontal(one_hot), ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
        columns = jnp.pad(self.vertical(one_hot), ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
        h = rows + columns
        if fixed.label is not None:
            h = h + fixed.label[:, None, None, :]
        background = jnp.asarray(self.grid.value, self.dtype)
        background = jnp.broadcast_to(background[None], (len(codes), *background.shape))
        for block in self.blocks:
            h = block(h, background, fixed.condition, train)
        for last in self.out:
            h = last(h, train=train)
        return self.logits.at(nn.elu(h)).astype(jnp.float32)

    def start(
        self,
        n: int,
        condition: Int[Array, 'n h2 w2'] | None = None,
        label: Int[Array, ' n'] | None = None,
        train: bool = False,
    ) -> Sampling:
        """Returns what does not change while n maps are drawn; arguments as of a call."""
        vector = self.label(label, n).astype(self.dtype) if self.classes else None
        if not self.conditioned:
            return Sampling(vector, None)
        if condition is None:
            if not self.is_initializing():
                raise InputError('this prior sees the codes above: give them as the condition')
            condition = jnp.zeros((n, self.height // 2, self.width // 2), jnp.int32)
        one_hot = jax.nn.one_hot(condition, self.condition_codes or self.codes, dtype=self.dtype)
        return Sampling(vector, upsample_nearest(self.above(one_hot, train)))

    def start_cache(self, n: int) -> dict[str, Any]:
        """Returns what is kept of n maps, before their first row."""
        blocks = [block.start(n, self.height, self.width) for block in self.blocks]
        return {'blocks': blocks, 'rows': jnp.zeros((n, self.width, self.channels), self.dtype)}

    def start_row(
        self, fixed: Sampling, cache: dict[str, Any], codes: Int[Array, 'n h w'], row: Array
    ) -> dict[str, Any]:
        """Returns what is kept at the start of a row, of which all rows above are in `codes`."""
        condition = fixed.condition
        if condition is not None:
            condition = lax.dynamic_index_in_dim(condition, row, axis=1, keepdims=False)
        pairs = zip(self.blocks, cache['blocks'], strict=True)
        blocks = [block.start_row(own, condition) for block, own in pairs]
        half, size = self.horizontal.kernel_size
        kernel, bias = self.horizontal.weights(self.codes)
        padded = self._pad(codes, half, half, half)
        rows = lax.dynamic_slice_in_dim(padded, row, half, axis=1)
        found = [
            _look_up(kernel[i, j], rows[:, i, j : j + self.width])
            for i in range(half)
            for j in range(size)
        ]
        # The first row is shifted in: it has not even the bias.
        total = jnp.where(row > 0, sum(found) + bias[None, None, :], 0)
        if fixed.label is not None:
            total = total + fixed.label[:, None, :]
        return {'blocks': blocks, 'rows': total}

    def step(
        self,
        fixed: Sampling,
        cache: dict[str, Any],
        codes: Int[Array, 'n h w'],
        row: Array,
        column: Array,
    ) -> tuple[Float[Array, 'n codes'], dict[str, Any]]:
        """Returns the logits of the code in a row and column, and what is kept after it.

        The codes at that place and after it are not looked at.
        """
        del fixed  # it is in what `start_row` kept
        upper, half = self.vertical.kernel_size
        kernel, bias = self.vertical.weights(self.codes)
        padded = self._pad(codes, upper - 1, half, 0)
        taps = lax.dynamic_slice(padded, (0, row, column), (len(codes), upper, half))
        found = [_look_up(kernel[i, j], taps[:, i, j]) for i in range(upper) for j in range(half)]
        h = jnp.where(column > 0, sum(found) + bias[None, :], 0)
        h = h + lax.dynamic_index_in_dim(cache['rows'], column, axis=1, keepdims=False)
        background = jnp.asarray(self.grid.value)[row, column]
        background = jnp.broadcast_to(background[None], (len(codes), 2))
        kept = []
        for block, own in zip(self.blocks, cache['blocks'], strict=True):
            place = row * self.width + column
            h, own = block.step(own, h, background.astype(self.dtype), column, place)
            kept.append(own)
        for last in self.out:
            h = last.at(h)
        return self.logits.at(nn.elu(h)).astype(jnp.float32), {**cache, 'blocks': kept}

    def _pad(self, codes: Array, top: int, left: int, right: int) -> Array:
        """Returns codes with a border of a code that is not there."""
        widths = ((0, 0), (top, 0), (left, right))
        return jnp.pad(codes, widths, constant_values=self.codes)


def _look_up(table: Float[Array, 'codes c'], codes: Int[Array, '*place']) -> Array:
    """Returns the rows of a table; zeros for a code that is not there."""
    return jnp.take(table, codes, axis=0, mode='fill', fill_value=0)


def make_grid(height: int, width: int) -> Float[Array, 'h w 2']:
    """Returns for each place where it lies down and across, from -1/2 up."""
    down, across = ((jnp.arange(n) - n / 2) / n for n in (height, width))
    return jnp.stack(jnp.meshgrid(down, across, indexing='ij'), axis=-1).astype(jnp.float32)


Model = PixelSNAIL
