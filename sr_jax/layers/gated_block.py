"""The gated residual block of PixelSNAIL, over a whole map or code by code."""

import functools
from typing import Any

from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax.layers.weight_norm import Padding, WeightNormConvolution


class GatedBlock(nn.Module):
    """x + the gated half of two convolutions, to which other features may be added.

    Attributes:
      channels: of x.
      hidden: between the convolutions.
      kernel_size: of both.
      causal: whether they see codes before alone.
      aux_channels: of features that are added after the first convolution; 0: there are none.
      conditioned: whether features are added before the gate.
      dropout: share of the features between that is dropped in training.
      dtype: name of the type computed in.
    """

    channels: int
    hidden: int
    kernel_size: int = 1
    causal: bool = False
    aux_channels: int = 0
    conditioned: bool = False
    dropout: float = 0.1
    dtype: str = 'float32'

    def setup(self) -> None:
        """Names the convolutions."""
        half, size = self.kernel_size // 2, self.kernel_size
        padding = Padding(half, half, half, half)
        if self.causal:
            padding = Padding(size - 1, 0, half, half)
        conv = functools.partial(
            WeightNormConvolution,
            kernel_size=(size, size),
            padding=padding,
            blind_from=half if self.causal else None,
            dtype=self.dtype,
        )
        self.conv_0, self.conv_1 = conv(self.hidden), conv(2 * self.channels)
        if self.aux_channels:
            self.aux = WeightNormConvolution(self.hidden, dtype=self.dtype)
        if self.conditioned:
            self.condition = WeightNormConvolution(
                2 * self.channels, use_bias=False, dtype=self.dtype
            )
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        x: Float[Array, 'n h w c'],
        aux: Float[Array, 'n h w a'] | None = None,
        condition: Float[Array, 'n h w d'] | None = None,
        train: bool = False,
    ) -> Float[Array, 'n h w c']:
        """Returns features of the same shape as x."""
        h = self.conv_0(nn.elu(x))
        if aux is not None:
            h = h + self.aux.at(nn.elu(aux))
        h = self.conv_1(self.drop(nn.elu(h), deterministic=not train))
        if condition is not None:
            h = h + self.condition.at(condition)
        return x + nn.glu(h)

    def at(
        self, x: Float[Array, '*place c'], aux: Float[Array, '*place a'] | None = None
    ) -> Float[Array, '*place c']:
        """Returns the features at some places; of a block of one tap."""
        h = self.conv_0.at(nn.elu(x))
        if aux is not None:
            h = h + self.aux.at(nn.elu(aux))
        return x + nn.glu(self.conv_1.at(nn.elu(h)))

    def start(self, n: int, width: int) -> dict[str, Any]:
        """Returns the caches before the first row."""
        return {
            'conv_0': self.conv_0.start(n, width, self.channels),
            'conv_1': self.conv_1.start(n, width, self.hidden),
        }

    def start_row(
        self, cache: dict[str, Any], condition: Float[Array, 'n w d'] | None
    ) -> dict[str, Any]:
        """Returns the caches at the start of the next row, of the condition of that row."""
        first, second = (self.conv_0.start_row, self.conv_1.start_row)
        cache = {'conv_0': first(cache['conv_0']), 'conv_1': second(cache['conv_1'])}
        if condition is not None:
            partial = cache['conv_1'].partial + self.condition.at(condition)
            cache['conv_1'] = cache['conv_1'].replace(partial=partial)
        return cache

    def step(
        self, cache: dict[str, Any], x: Float[Array, 'n c'], column: Int[Array, '']
    ) -> tuple[Float[Array, 'n c'], dict[str, Any]]:
        """Returns the features in a column of the row, of a causal block."""
        h, first = self.conv_0.step(cache['conv_0'], nn.elu(x), column)
        h, second = self.conv_1.step(cache['conv_1'], nn.elu(h), column)
        return x + nn.glu(h), {'conv_0': first, 'conv_1': second}
