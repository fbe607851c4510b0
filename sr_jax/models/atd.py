"""ATD: attention within windows, to a dictionary of tokens, and among pixels of one category.

Zhang et al. 2024, "Transcending the Limit of Local Window: Advanced Super-Resolution Transformer
with Adaptive Token Dictionary" (arXiv:2401.08209), section 3 and figures 2 to 4, as its program has
it (LabShuHangGU/Adaptive-Token-Dictionary, `atd_arch.py`).
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.layers.channel_attention import unit_length
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.convolved_mlp import ConvolvedMLP
from sr_jax.layers.parameter import parameter
from sr_jax.layers.reconstruction import (
    FEATURES,
    Reconstruction,
    find_factors,
    rgb_mean,
)
from sr_jax.layers.residual_groups import apply_groups
from sr_jax.layers.tokens import layer_norm, linear
from sr_jax.layers.window_attention import WindowAttention, attend
from sr_jax.layers.windows import check_heads, crop, lengthen, pad_to_multiple
from sr_jax.models.protocols import image_batch

START_SCALE = 0.5  # of similarities to tokens
START_TEMPERATURE, MAX_TEMPERATURE = 10.0, 100.0  # among the pixels of a category
EPSILON = 1e-5

Features = Float[Array, 'n h w c']
Pixels = Float[Array, 'n pixels c']
Tokens = Float[Array, 'n tokens c']


class TokenAttention(nn.Module):
    """Attention of pixels to the tokens of a dictionary, by cosines of few channels.

    Attributes:
      reduced: channels of the queries and keys.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters and the softmax are float32.
    """

    reduced: int
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Pixels, tokens: Tokens
    ) -> tuple[Pixels, Float[Array, 'n pixels tokens']]:
        """What the tokens make of the pixels, and how much each is like each."""
        number = tokens.shape[1]
        q = linear(self.reduced, 'q', self.dtype, self.use_bias)(x).astype(jnp.float32)
        k = linear(self.reduced, 'k', self.dtype, self.use_bias)(tokens).astype(jnp.float32)
        v = linear(x.shape[-1], 'v', self.dtype, self.use_bias)(tokens)
        scale = parameter(self, 'scale', nn.initializers.constant(START_SCALE), (number,))
        factors = 1 + jnp.clip(jnp.asarray(scale), 0, 1) * math.log(number)
        cosines = jnp.einsum('npc,ntc->npt', unit_length(q, -1), unit_length(k, -1))
        weights = nn.softmax(cosines * factors[None, None])
        return jnp.einsum('npt,ntc->npc', weights.astype(v.dtype), v), weights


class CategoryAttention(nn.Module):
    """Self-attention in groups of pixels that are alike: sorted by the token that is most like.

    The last group is filled with its last pixels, turned around. Pixels of one token stay in the
    order of the image, which the original leaves to PyTorch.

    Attributes:
      heads: of the attention.
      size: pixels of a group.
      use_bias: of the layer after it.
      dtype: name of the type computed in; parameters and the softmax are float32.
    """

    heads: int
    size: int
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, qkv: Float[Array, 'n pixels 3*c'], tokens: Int[Array, 'n pixels']
    ) -> Pixels:
        """What queries, keys and values make of themselves; `tokens` is the one that is like."""
        n, pixels, channels = qkv.shape
        start = nn.initializers.constant(math.log(START_TEMPERATURE))
        logarithm = jnp.asarray(parameter(self, 'temperature', start, (1, 1)))[0, 0]
        order = jnp.argsort(tokens, axis=1, stable=True)
        sorted_qkv = jnp.take_along_axis(qkv, order[:, :, None], axis=1)
        size = jax.core.min_dim(self.size, pixels)
        groups = lengthen(sorted_qkv, 1, (pixels + size - 1) // size * size, 'symmetric')
        groups = groups.reshape(n, -1, size, 3, self.heads, channels // 3 // self.heads)
        q, k, v = jnp.moveaxis(groups, 3, 0)
        scale = jnp.exp(jnp.minimum(logarithm, math.log(MAX_TEMPERATURE)))
        q = q * (scale * math.sqrt(q.shape[-1])).astype(q.dtype)  # as `attend` divides by that
        made = attend(q, k, v).reshape(n, -1, channels // 3)
        made = lax.slice_in_dim(made, 0, pixels, axis=1)
        back = jnp.argsort(order, axis=1)
        made = jnp.take_along_axis(made, back[:, :, None], axis=1)
        return linear(channels // 3, 'proj', self.dtype, self.use_bias)(made)


class ATDBlock(nn.Module):
    """Three attentions side by side, then an MLP; and a dictionary nearer to the image.

    Attributes:
      heads: of the attentions over windows and categories.
      window: side of the windows.
      shift: pixels that they are shifted by.
      category_size: pixels of a category's groups.
      reduced: channels of the queries and keys to tokens.
      hidden: channels inside of the MLP.
      kernel_size: of the convolution in the MLP.
      use_bias: of the queries, keys and values.
      refine: the dictionary changes; not in the last block of a group.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    window: int
    shift: int
    category_size: int
    reduced: int
    hidden: int
    kernel_size: int
    use_bias: bool
    refine: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features, tokens: Tokens) -> tuple[Features, Tokens]:
        """Features of the same shape, and the dictionary of the next block."""
        n, h, w, channels = x.shape
        pixels = layer_norm('norm_1', self.dtype)(x).reshape(n, h * w, channels)
        qkv = linear(3 * channels, 'qkv', self.dtype, self.use_bias)(pixels)
        to_tokens = TokenAttention(self.reduced, self.use_bias, self.dtype, name='tokens')
        by_tokens, likeness = to_tokens(pixels, tokens)
        fields = (self.heads, self.category_size, self.use_bias, self.dtype)
        by_category = CategoryAttention(*fields, name='category')(qkv, likeness.argmax(axis=-1))
        sides = (self.window,) * 2, (self.shift,) * 2
        windows = WindowAttention(
            self.heads, *sides, dtype=self.dtype, is_given=True, name='windows'
        )
        x = x + windows(qkv.reshape(n, h, w, -1))
        x = x + (by_tokens + by_category).reshape(x.shape)
        mlp = ConvolvedMLP(self.hidden, self.kernel_size, self.dtype, name='mlp')
        x = x + mlp(layer_norm('norm_2', self.dtype)(x))
        return x, self._refine(x, tokens, likeness) if self.refine else tokens

    def _refine(self, x: Features, tokens: Tokens, likeness: Array) -> Tokens:
        """Tokens, in part as the mean of the pixels that are like them; equation 8."""
        number = tokens.shape[1]
        scale = jnp.asarray(parameter(self, 'norm_scale', nn.initializers.ones, (number,)))
        bias = jnp.asarray(parameter(self, 'norm_bias', nn.initializers.zeros, (number,)))
        keep = jnp.asarray(parameter(self, 'keep', nn.initializers.zeros, (number, 1)))
        centered = likeness - likeness.mean(axis=1, keepdims=True)
        variance = jnp.mean(centered**2, axis=1, keepdims=True)
        logits = centered * jax.lax.rsqrt(variance + EPSILON) * scale[None, None] + bias[None, None]
        weights = nn.softmax(logits, axis=1).astype(x.dtype)
        means = jnp.einsum('npt,npc->ntc', weights, x.reshape(x.shape[0], -1, x.shape[-1]))
        kept = nn.sigmoid(keep)[None].astype(x.dtype)
        return kept * tokens + (1 - kept) * means


class ATD(nn.Module):
    """The defaults are those of the paper's ATD for scale 4.

    Images are continued by their mirror image, edge included, at the lower and the right edge up
    to whole windows, as in the original.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels of the body; `heads` divides them.
      num_groups: residual groups of blocks, each with a dictionary.
      num_blocks: blocks in each.
      heads: of the attentions over windows and categories.
      window: side of the windows in pixels.
      category_size: pixels of a category's groups; in no array of a file.
      dictionary_size: tokens of a dictionary.
      reduced: channels of the queries and keys to tokens.
      hidden: channels inside of the MLPs.
      kernel_size: of the convolutions in the MLPs.
      head: what makes the image: see `sr_jax.layers.reconstruction.Reconstruction`.
      head_features: channels of the head, but for 'direct' and 'residual'.
      body_convolutions: after the blocks of a group, and after all groups: 1 or 3.
      use_bias: of the queries, keys and values.
      normalize: take the mean color off images.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None  # categories are of the whole image

    scale: int = 4
    features: int = 210
    num_groups: int = 6
    num_blocks: int = 6
    heads: int = 6
    window: int = 16
    category_size: int = 256
    dictionary_size: int = 128
    reduced: int = 20
    hidden: int = 420
    kernel_size: int = 5
    head: str = 'pixel_shuffle'
    head_features: int = FEATURES
    body_convolutions: int = 1
    use_bias: bool = True
    normalize: bool = True
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.window, 2 * self.window, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: there is no such head, or it has no such scale, or heads that do not divide
            the features.
        """
        find_factors(self.head, self.scale)
        check_heads(self.features, self.heads)
        height, width = (self.scale * side for side in x.shape[1:3])
        mean = rgb_mean(self.in_channels) if self.normalize else 0.0
        given = pad_to_multiple(x, self.window, 'symmetric') - mean
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(given)
        x = self._body(x) + x
        fields = (self.scale, self.head_features, self.in_channels, self.dtype)
        made = Reconstruction(self.head, *fields, name='reconstruction')(x)
        if self.head == 'residual':
            made = made + given
        return crop(made + mean, height, width)

    def _body(self, x: Features) -> Features:
        block = nn.remat(ATDBlock) if self.remat else ATDBlock
        shape = (self.dictionary_size, self.features)

        def group(i: int, h: Features) -> Features:
            tokens = parameter(self, f'group_{i}_tokens', nn.initializers.normal(1.0), shape)
            tokens = jnp.broadcast_to(jnp.asarray(tokens, self.dtype)[None], (h.shape[0], *shape))
            for j in range(self.num_blocks):
                shift = self.window // 2 if j % 2 else 0
                sizes = (self.heads, self.window, shift, self.category_size, self.reduced)
                rest = (self.hidden, self.kernel_size, self.use_bias, j < self.num_blocks - 1)
                h, tokens = block(*sizes, *rest, self.dtype, name=f'group_{i}_block_{j}')(h, tokens)
            return h

        return apply_groups(x, self.num_groups, group, self.body_convolutions, self.dtype)


Model = ATD
