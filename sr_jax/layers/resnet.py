"""The residual stages of ResNets (He et al. 2015, arXiv:1512.03385), as torchvision has them.

Several networks stand on them: classifiers, segmenters, detectors. Bottlenecks halve the size in
their 3 x 3 convolution ("v1.5", torchvision's), not in the first one, as the paper does.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers import imagenet
from sr_jax.layers.normed_convolution import normed_convolution
from sr_jax.layers.switching import Switching


class Plan(NamedTuple):
    """Blocks of each of the four stages, and whether they are bottlenecks."""

    blocks: tuple[int, ...]
    bottleneck: bool


PLANS = {
    10: Plan((1, 1, 1, 1), False),
    14: Plan((1, 1, 1, 1), True),
    18: Plan((2, 2, 2, 2), False),
    34: Plan((3, 4, 6, 3), False),
    50: Plan((3, 4, 6, 3), True),
    101: Plan((3, 4, 23, 3), True),
    152: Plan((3, 8, 36, 3), True),
}
EXPANSION = 4  # of a bottleneck's channels in its last convolution
STEMS = ('large', 'small')


def plan_of(depth: int) -> Plan:
    """Returns the plan of a depth; raises InputError where there is none."""
    if depth not in PLANS:
        raise InputError(f'a ResNet has a depth of {", ".join(map(str, PLANS))}, not {depth!r}')
    return PLANS[depth]


def max_pool(x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 c']:
    """The largest of 3 x 3 pixels around every second one, of sides rounded up.

    One axis after the other, without windows: their gradient took 0.17 of a ResNet-50's 1.4 s a
    step on CPUs. Equal largest pixels share the gradient, which PyTorch gives to the first.
    """
    return _max_along(_max_along(x, 1), 2)


def _max_along(x: Array, axis: int) -> Array:
    """The largest of each second pixel along an axis and its two neighbours."""
    shape, size = x.shape, x.shape[axis]
    lowest = jnp.finfo(x.dtype).min
    after = [(0, size % 2 if i == axis else 0) for i in range(x.ndim)]
    x = jnp.pad(x, after, constant_values=lowest)
    x = x.reshape(*shape[:axis], -1, 2, *shape[axis + 1 :])
    even, odd = (lax.index_in_dim(x, i, axis + 1, keepdims=False) for i in (0, 1))
    before = [(1, 0) if i == axis else (0, 0) for i in range(odd.ndim)]
    before_even = lax.slice_in_dim(jnp.pad(odd, before, constant_values=lowest), 0, -1, axis=axis)
    return jnp.maximum(jnp.maximum(even, odd), before_even)


class Block(nn.Module):
    """Two 3 x 3 convolutions, or a bottleneck of 1 x 1, 3 x 3 and 1 x 1, added to its input.

    Attributes:
      features: channels of the 3 x 3 convolutions.
      stride: of the one that makes the size smaller.
      dilation: pixels from one tap to the next of the 3 x 3 convolutions without a stride.
      bottleneck: which of the two; a bottleneck gives `EXPANSION` times as many channels.
      switching: which convolutions of the network are switched.
      dtype: name of the type that convolutions compute in.
    """

    features: int
    stride: int = 1
    dilation: int = 1
    bottleneck: bool = False
    switching: Switching = Switching()
    dtype: str = 'float32'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 c2']:
        """Features after the block."""
        wide = EXPANSION * self.features
        layers = [(self.features, 3, self.stride), (self.features, 3, 1)]
        if self.bottleneck:
            layers = [(self.features, 1, 1), (self.features, 3, self.stride), (wide, 1, 1)]
        h = x
        for i, layer in enumerate(layers):
            h = nn.relu(h) if i else h
            h = self._convolve(f'_{i}', h, *layer, train)
        if h.shape != x.shape:
            x = self._convolve('_skip', x, h.shape[-1], 1, self.stride, train)
        return nn.relu(h + x)

    def _convolve(
        self, suffix: str, x: Array, features: int, taps: int, stride: int, train: bool
    ) -> Array:
        dilation = self.dilation if taps > 1 and stride == 1 else 1
        sizes = (features, taps, stride, dilation, self.dtype, train)
        return normed_convolution(self, self.switching, suffix, x, *sizes)


class Backbone(nn.Module):
    """A ResNet without its classifying layer.

    Kernels start from Kaiming's normal distribution by the fan out, as torchvision's.

    Attributes:
      depth: layers: a key of `PLANS`.
      features: channels of the first stage's 3 x 3 convolutions; each further stage doubles them.
      stem: 'large', a 7 x 7 convolution and a pooling, which make images a quarter as large; or
        'small', a 3 x 3 convolution, which leaves them as they are.
      strides: of the stages.
      dilations: of the stages; their first blocks have that of the stage before, as torchvision's.
      switching: which convolutions are switched, by their paths in the network.
      dtype: name of the type that convolutions compute in.
      remat: recompute the blocks' activations in the backward pass, for memory.
    """

    depth: int = 50
    features: int = 64
    stem: str = 'large'
    strides: tuple[int, ...] = (1, 2, 2, 2)
    dilations: tuple[int, ...] = (1, 1, 1, 1)
    switching: Switching = Switching()
    dtype: str = 'float32'
    remat: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array, 'n h w 3'], train: bool = False
    ) -> tuple[Float[Array, 'n _ _ _'], ...]:
        """What the stem and each of the four stages make of RGB in [0, 1].

        Raises:
          InputError: a depth or a stem that is not known.
        """
        plan = plan_of(self.depth)
        if self.stem not in STEMS:
            raise InputError(f'stem is {self.stem!r}: {nearest(self.stem, STEMS)}')
        large = self.stem == 'large'
        x = imagenet.normalize(images)
        sizes = (self.features, 7, 2) if large else (self.features, 3, 1)
        fields: dict[str, Any] = dict(dtype=self.dtype, train=train)
        x = nn.relu(normed_convolution(self, self.switching, '', x, *sizes, **fields))
        found = [x]
        x = max_pool(x) if large else x
        for stage in range(len(plan.blocks)):
            x = self._pass_stage(stage, plan, x, train)
            found.append(x)
        return tuple(found)

    def _pass_stage(self, stage: int, plan: Plan, x: Array, train: bool) -> Array:
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        for i in range(plan.blocks[stage]):
            x = block(
                features=self.features * 2**stage,
                stride=1 if i else self.strides[stage],
                dilation=self.dilations[stage if i else max(stage - 1, 0)],
                bottleneck=plan.bottleneck,
                switching=self.switching,
                dtype=self.dtype,
                name=f'stage_{stage}_block_{i}',
            )(x, train)
        return x
