"""The feature layers of AlexNet as torchvision has it (Krizhevsky 2014, arXiv:1404.5997).

For the metric LPIPS: the classifying layers are left out, and nothing is trained here. Parameters
come from `sr_jax.pretrained.alexnet` or `sr_jax.pretrained.lpips`.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers import imagenet
from sr_jax.models.protocols import image_batch


class Stage(NamedTuple):
    """A convolution with its activation; `pooled` says whether a pooling comes before it."""

    features: int
    kernel_size: int
    stride: int
    padding: int
    pooled: bool


STAGES = (
    Stage(64, 11, 4, 2, False),
    Stage(192, 5, 1, 2, True),
    Stage(384, 3, 1, 1, True),
    Stage(256, 3, 1, 1, False),
    Stage(256, 3, 1, 1, False),
)
MIN_SIDE = 31  # pixels, for one pixel to be left of the last stage


class Model(nn.Module):
    """What AlexNet finds in images, up to the last layer asked for.

    Attributes:
      outputs: names of the layers wanted, 'relu1_1' to 'relu5_1', after the activations. By
        default the last one, so that no parameter is left out.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ()

    outputs: tuple[str, ...] = ('relu5_1',)
    dtype: str = 'float32'

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 32, 40)

    @nn.compact
    def __call__(self, images: Float[Array, 'n h w 3']) -> dict[str, Float[Array, 'n h2 w2 c']]:
        """The layers asked for, of RGB images in [0, 1] of at least 31 pixels a side.

        Raises:
          InputError: no such layer, or none asked for.
        """
        names = [f'relu{i}_1' for i in range(1, len(STAGES) + 1)]
        for name in self.outputs or ('',):
            if name not in names:
                raise InputError(f'AlexNet has no layer {name!r}; {nearest(name, names)}')
        last = max(names.index(name) for name in self.outputs)
        x, found = imagenet.normalize(images).astype(self.dtype), {}
        for i, stage in enumerate(STAGES[: last + 1], 1):
            if stage.pooled:
                x = nn.max_pool(x, (3, 3), (2, 2))
            sides = (stage.kernel_size,) * 2
            layer = nn.Conv(
                *(stage.features, sides, stage.stride, stage.padding),
                dtype=jnp.dtype(self.dtype),
                name=f'conv{i}_1',
            )
            x = nn.relu(layer(x))
            if f'relu{i}_1' in self.outputs:
                found[f'relu{i}_1'] = x
        return found
