"""Self-attention of the pixels of a window.

Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows"
(arXiv:2103.14030), equation 4.
"""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.layers.parameter import parameter
from sr_jax.layers.tokens import DEVIATION, linear
from sr_jax.layers.windows import (
    Window,
    check_heads,
    join_windows,
    name_regions,
    relative_positions,
    separate,
    split_windows,
)

Regions = tuple[Int[Array, 'windows queries'], Int[Array, 'windows keys']]

MOST_WEIGHTS = 2**25  # of attention at a time: 128 MiB


def attend(
    q: Float[Array, 'n windows queries heads c'],
    k: Float[Array, 'n windows keys heads c'],
    v: Float[Array, 'n windows keys heads d'],
    bias: Float[Array, 'heads queries keys'] | None = None,
    regions: Regions | None = None,
) -> Float[Array, 'n windows queries heads*d']:
    """softmax(q k^T / sqrt(c) + bias + mask) v, in each window and each head; weights in float32.

    Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with biases by relative place. Where there
    are more than `MOST_WEIGHTS`, windows are computed one after another, for memory; not where
    their number is not known (`sr_jax.inference.exported`).

    Args:
      q: queries.
      k: keys.
      v: values.
      bias: by relative place.
      regions: of the pixels of queries and of keys, which see only those of their own.
    """
    n, windows, queries, heads, _ = q.shape
    weights = n * windows * queries * heads * k.shape[2]
    if not isinstance(weights, int) or weights <= MOST_WEIGHTS or windows == 1:
        return _attend(q, k, v, bias, regions)

    def one(inputs: tuple[Array, Array, Array, Regions | None]) -> Array:
        q, k, v, own = inputs
        alone = None if own is None else (own[0][None], own[1][None])
        return _attend(q[:, None], k[:, None], v[:, None], bias, alone)[:, 0]

    many = max(MOST_WEIGHTS * windows // weights, 1)
    turned = (*(jnp.moveaxis(x, 1, 0) for x in (q, k, v)), regions)
    return jnp.moveaxis(lax.map(one, turned, batch_size=many), 0, 1)


def _attend(q: Array, k: Array, v: Array, bias: Array | None, regions: Regions | None) -> Array:
    logits = jnp.einsum('nwqhc,nwkhc->nwhqk', q * q.shape[-1] ** -0.5, k).astype(jnp.float32)
    if bias is not None:
        logits += bias[None, None]
    if regions is not None:
        logits += separate(*regions)[None, :, None]
    weights = nn.softmax(logits).astype(v.dtype)
    made = jnp.einsum('nwhqk,nwkhd->nwqhd', weights, v)
    return made.reshape(*made.shape[:3], -1)


def split_heads(
    x: Float[Array, '*batch c'], parts: int, heads: int
) -> tuple[Float[Array, '*batch h d'], ...]:
    """Returns what lies in channels one after the other, as queries, keys and values do, by heads.

    They are cut before heads are told apart: in ONNX that is one copy less.
    """
    cut = jnp.split(x, parts, axis=-1)
    return tuple(part.reshape(*part.shape[:-1], heads, -1) for part in cut)


def bias_table(module: nn.Module, name: str, rows: int, heads: int) -> Array:
    """The parameter of biases by relative place, one of each head."""
    start = nn.initializers.truncated_normal(DEVIATION)
    return jnp.asarray(parameter(module, name, start, (rows, heads)))


def look_up(
    table: Float[Array, 'rows heads'], positions: Int[np.ndarray, 'q k']
) -> Float[Array, 'heads q k']:
    """The biases of pairs of pixels, of a table and the pairs' rows in it."""
    return table[positions].transpose(2, 0, 1)


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with biases by relative place.

    Attributes:
      heads: of the attention; divides the channels.
      window: height and width, of which the image's sides are multiples.
      shift: pixels that the windows are shifted by, down and to the right.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters and the softmax are float32.
      is_given: queries, keys and values are given, three times the channels.
    """

    heads: int
    window: Window
    shift: Window = (0, 0)
    use_bias: bool = True
    dtype: str = 'float32'
    is_given: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c2']:
        """Features of the same shape, or of a third of the channels.

        Raises:
          InputError: the heads do not divide the channels.
        """
        size, channels = x.shape[1:3], x.shape[-1] // 3 if self.is_given else x.shape[-1]
        check_heads(channels, self.heads)
        shifted = any(self.shift)
        if shifted:
            x = jnp.roll(x, (-self.shift[0], -self.shift[1]), (1, 2))
        qkv = split_windows(x, self.window)
        if not self.is_given:  # of windows: fewer channels are moved then
            qkv = linear(3 * channels, 'qkv', self.dtype, self.use_bias)(qkv)
        q, k, v = split_heads(qkv, 3, self.heads)
        rows = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        table = bias_table(self, 'bias_table', rows, self.heads)
        bias = look_up(table, relative_positions(self.window))
        regions = (name_regions(size, self.window, self.shift),) * 2 if shifted else None
        made = linear(channels, 'proj', self.dtype)(attend(q, k, v, bias, regions))
        made = join_windows(made, size, self.window)
        return jnp.roll(made, self.shift, (1, 2)) if shifted else made
