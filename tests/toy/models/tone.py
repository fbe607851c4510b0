"""One layer for each pixel, so that what is around a network is tested without waiting for it."""

from typing import ClassVar

from flax import linen as nn

from sr_jax.models.protocols import image_batch


class Tone(nn.Module):
    """Colours changed by a matrix; `features` of the output are left unused."""

    REPEATED: ClassVar = ()

    features: int = 2
    dtype: str = 'float32'
    remat: bool = False

    def example(self, n):
        return image_batch(n, 5, 7)

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(3 + self.features, name='layer')(x)[..., :3]


Model = Tone
