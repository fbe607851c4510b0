"""A causal transformer over a map of codes, for those who would train one today.

The contract is that of `sr_jax.models.pixelsnail`. Codes are read row by row; the place of the
code that is predicted enters by rotary positions in two dimensions, so that "the code above" is
the same to a head everywhere. Blocks are pre-norm (Xiong et al. 2020, arXiv:2002.04745). The codes
above are seen through convolutions, at twice their size, and added where they lie.
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
from sr_jax.layers.class_embedding import ClassEmbedding
from sr_jax.layers.convolution import Convolution, normal_init, upsample_nearest
from sr_jax.layers.parameter import parameter
from sr_jax.layers.rotary import make_angles, rotate
from sr_jax.models.protocols import Limits, code_batch

HIDDEN_FACTOR = 4
START = 0.02  # deviation of kernels and embeddings at the start (Radford et al. 2019)


class Block(nn.Module):
    """Attention to the codes up to the one at hand, and a network of two layers.

    Attributes:
      channels: of the features; `heads` divides them.
      heads: of the attention.
      dropout: share of what is added that is dropped in training.
      depth: blocks in all, by whose root the layers that add start smaller.
      dtype: name of the type computed in.
    """

    channels: int
    heads: int
    dropout: float
    depth: int
    dtype: str

    def setup(self) -> None:
        """Names the layers."""
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        start, last = normal_init(START), normal_init(START / (2 * self.depth) ** 0.5)
        norm = functools.partial(nn.LayerNorm, use_fast_variance=False, dtype=self.dtype)
        self.norm_attention, self.norm_mlp = norm(), norm()
        self.qkv = dense(3 * self.channels, kernel_init=start)
        self.out = dense(self.channels, kernel_init=last)
        self.mlp_0 = dense(HIDDEN_FACTOR * self.channels, kernel_init=start)
        self.mlp_1 = dense(self.channels, kernel_init=last)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, x: Float[Array, 'n t c'], angles: Float[Array, 't pairs'], train: bool
    ) -> Float[Array, 'n t c']:
        """Returns the features of all codes."""
        q, k, v = self._project(x, angles)
        found = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return self._add(x, found, train)

    def step(
        self,
        cache: dict[str, Any],
        x: Float[Array, 'n 1 c'],
        angles: Float[Array, '1 pairs'],
        place: Int[Array, ''],
    ) -> tuple[Float[Array, 'n 1 c'], dict[str, Any]]:
        """Returns the features of the code at a place, and the cache with its key and value."""
        q, k, v = self._project(x, angles)
        cache = {
            name: lax.dynamic_update_slice_in_dim(cache[name], own, place, axis=1)
            for name, own in (('key', k), ('value', v))
        }
        seen = jnp.arange(cache['key'].shape[1]) <= place
        found = jax.nn.dot_product_attention(
            q, cache['key'], cache['value'], mask=seen[None, None, None, :]
        )
        return self._add(x, found, train=False), cache

    def _project(self, x: Array, angles: Array) -> tuple[Array, Array, Array]:
        n, length, _ = x.shape
        qkv = self.qkv(self.norm_attention(x)).reshape(n, length, 3, self.heads, -1)
        q, k, v = (qkv[:, :, i] for i in range(3))
        return rotate(q, angles), rotate(k, angles), v

    def _add(self, x: Array, found: Array, train: bool) -> Array:
        drop = functools.partial(self.drop, deterministic=not train)
        x = x + drop(self.out(found.reshape(x.shape)))
        return x + drop(self.mlp_1(nn.gelu(self.mlp_0(self.norm_mlp(x)))))


class ConditionNetwork(nn.Module):
    """Features of the map of codes above: their vectors, and 3 x 3 convolutions.

    Attributes:
      codes: how many there are above.
      channels: of the features.
      num_layers: convolutions, each added to what it sees.
      dtype: name of the type computed in.
    """

    codes: int
    channels: int
    num_layers: int
    dtype: str

    @nn.compact
    def __call__(self, codes: Int[Array, 'n h w']) -> Float[Array, 'n h w channels']:
        """Returns the features."""
        shape = (self.codes, self.channels)
        x = jnp.take(parameter(self, 'table', normal_init(START), shape), codes, axis=0)
        for i in range(self.num_layers):
            conv = Convolution(self.channels, 3, dtype=self.dtype, name=f'conv_{i}')
            x = x + conv(nn.gelu(x))
        return x


class Sampling(flax.struct.PyTreeNode):
    """What does not change while maps are drawn: what is added to the vector of each code.

    Attributes:
      label: the vectors of their classes; None where there are none.
      condition: features of the codes above, in reading order; None where there are none.
    """

    label: Float[Array, 'n c'] | None
    condition: Float[Array, 'n t c'] | None


class CodeTransformer(nn.Module):
    """The network of one level.

    Attributes:
      codes: how many codes there are; 0, as `height` and `width`, while a config does not know it.
      height, width: of the map.
      channels: of the features; a multiple of 4 times the heads.
      num_layers: blocks.
      heads: of the attention.
      dropout: share of what blocks add that is dropped in training.
      num_condition_layers: convolutions over the codes above; 0: these are not seen.
      condition_codes: how many codes there are above; 0: as many as here.
      classes: of images; 0: they are not told.
      dtype: name of the type computed in; parameters and logits are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_layers', 'num_condition_layers')
    LIMITS: ClassVar[Limits] = {
        **dict.fromkeys(('codes', 'height', 'width'), (0, math.inf)),
        'dropout': (0, 1),
    }

    codes: int = 512
    height: int = 32
    width: int = 32
    channels: int = 512
    num_layers: int = 12
    heads: int = 8
    dropout: float = 0.1
    num_condition_layers: int = 0
    condition_codes: int = 0
    classes: int = 0
    dtype: str = 'float32'
    remat: bool = False

    def setup(self) -> None:
        """Names the parts; InputError for channels that do not fit the heads."""
        if self.channels % self.heads:
            raise InputError(
                f'{self.channels} channels do not split into {self.heads} attention heads'
            )
        self.angles = make_angles(self.height, self.width, self.channels // self.heads)
        start = normal_init(START)
        self.table = parameter(self, 'table', start, (self.codes, self.channels))
        self.first = parameter(self, 'first', start, (self.channels,))
        if self.classes:
            self.label = ClassEmbedding(self.classes, self.channels)
        if self.conditioned:
            above = self.condition_codes or self.codes
            self.above = ConditionNetwork(
                above, self.channels, self.num_condition_layers, self.dtype
            )
        block = nn.remat(Block, static_argnums=(3,)) if self.remat else Block
        shape = (self.channels, self.heads, self.dropout, self.num_layers, self.dtype)
        self.blocks = [block(*shape) for _ in range(self.num_layers)]
        self.norm = nn.LayerNorm(use_fast_variance=False, dtype=self.dtype)
        self.logits = nn.Dense(self.codes, dtype=self.dtype, kernel_init=start)

    @property
    def conditioned(self) -> bool:
        """Whether it sees the codes above."""
        return self.num_condition_layers > 0

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
        n = len(codes)
        fixed = self.start(n, condition, label)
        before = jnp.take(self.table, codes.reshape(n, -1)[:, :-1], axis=0)
        first = jnp.broadcast_to(self.first[None, None], (n, 1, self.channels))
        x = jnp.concatenate([first, before], axis=1).astype(self.dtype)
        if fixed.label is not None:
            x = x + fixed.label[:, None, :]
        if fixed.condition is not None:
            x = x + fixed.condition
        for block in self.blocks:
            x = block(x, jnp.asarray(self.angles), train)
        logits = self.logits(self.norm(x)).astype(jnp.float32)
        return logits.reshape(*codes.shape, self.codes)

    def start(
        self,
        n: int,
        condition: Int[Array, 'n h2 w2'] | None = None,
        label: Int[Array, ' n'] | None = None,
    ) -> Sampling:
        """Returns what does not change while n maps are drawn; arguments as of a call."""
        vector = self.label(label, n).astype(self.dtype) if self.classes else None
        if not self.conditioned:
            return Sampling(vector, None)
        if condition is None:
            if not self.is_initializing():
                raise InputError('this prior sees the codes above: give them as the condition')
            condition = jnp.zeros((n, self.height // 2, self.width // 2), jnp.int32)
        above = upsample_nearest(self.above(condition)).astype(self.dtype)
        return Sampling(vector, above.reshape(n, -1, self.channels))

    def start_cache(self, n: int) -> list[dict[str, Any]]:
        """Returns what is kept of n maps, before their first row: keys and values."""
        shape = (n, self.height * self.width, self.heads, self.channels // self.heads)
        return [
            {name: jnp.zeros(shape, self.dtype) for name in ('key', 'value')}
            for _ in range(self.num_layers)
        ]

    def start_row(
        self, fixed: Sampling, cache: list[dict[str, Any]], codes: Int[Array, 'n h w'], row: Array
    ) -> list[dict[str, Any]]:
        """Returns what is kept at the start of a row: there is nothing to do."""
        del fixed, codes, row
        return cache

    def step(
        self,
        fixed: Sampling,
        cache: list[dict[str, Any]],
        codes: Int[Array, 'n h w'],
        row: Array,
        column: Array,
    ) -> tuple[Float[Array, 'n codes'], list[dict[str, Any]]]:
        """Returns the logits of the code in a row and column, and what is kept after it.

        The codes at that place and after it are not looked at.
        """
        n, place = len(codes), row * self.width + column
        last = lax.dynamic_index_in_dim(codes.reshape(n, -1), place - 1, axis=1, keepdims=False)
        x = jnp.where(place > 0, jnp.take(self.table, last, axis=0), self.first[None])
        x = x.astype(self.dtype)[:, None]
        if fixed.label is not None:
            x = x + fixed.label[:, None, :]
        if fixed.condition is not None:
            x = x + lax.dynamic_slice_in_dim(fixed.condition, place, 1, axis=1)
        angles = lax.dynamic_slice_in_dim(jnp.asarray(self.angles), place, 1, axis=0)
        kept = []
        for block, own in zip(self.blocks, cache, strict=True):
            x, own = block.step(own, x, angles, place)
            kept.append(own)
        return self.logits(self.norm(x)).astype(jnp.float32)[:, 0], kept


Model = CodeTransformer
