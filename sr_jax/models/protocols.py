"""What may be asked of a network, whichever it is.

A network is the `Model` of its file in this package: a linen module whose fields are the keys of a
config, each with a default. Nothing is inherited from here. What has these members is such a
network, and `isinstance` tells:

  Network     every one: which of its fields repeat layers, and what it may be called with
  Enlarger    one for super-resolution: its scale, and what it asks of the sizes of images
  Gridded     an enlarger that looks at an image in squares
  Patchwise   an enlarger that can compute its layers in patches, for memory
  Sampler     an enlarger that draws many images of a small one

Who needs to know more of one network than this asks that network, not its name.
"""

from typing import ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Shape = tuple[int, int, int]  # height, width, channels


@runtime_checkable
class Network(Protocol):
    """Any network.

    Attributes:
      REPEATED: names of the fields that say how often something is repeated which has arrays of its
        own each time. Nothing can rightly ask for more repetitions than it has arrays, so that a
        damaged config or file is refused before such a network is built.
    """

    REPEATED: ClassVar[tuple[str, ...]]

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """The shape and type of a batch of n examples that it can be called with.

        They are as small as it takes them, and where it can, no square.
        """


@runtime_checkable
class Enlarger(Network, Protocol):
    """A network for super-resolution: from images to larger ones, NHWC in [0, 1]."""

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along a side."""

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of."""

    @property
    def halo(self) -> int | None:
        """Pixels around one on which its enlargement depends; None: on the whole image."""

    @property
    def input_size(self) -> int | None:
        """The side that images must have; None: any, of which `multiple` is a divisor."""


@runtime_checkable
class Gridded(Enlarger, Protocol):
    """An enlarger that looks at an image in squares, counted from its upper left corner.

    It takes images of any sides, and mirrors them at the lower and the right edge up to whole
    squares. Parts that begin at whole squares are seen as they are in the whole image.
    """

    @property
    def grid(self) -> int:
        """The side of the squares in pixels."""


@runtime_checkable
class Patchwise(Enlarger, Protocol):
    """An enlarger whose layers can be computed in patches."""

    @property
    def patch(self) -> int:
        """A field: the side of the patches in pixels; 0: on the whole."""


@runtime_checkable
class Sampler(Enlarger, Protocol):
    """An enlarger that makes an image of a small one and of Gaussian latents."""

    def latent_shapes(self, height: int, width: int) -> list[Shape]:
        """[height, width, channels] of each of the latents for a small image of such sides."""

    def sample(
        self, x: Float[Array, 'n h w 3'], latents: tuple[Float[Array, 'n _ _ _'], ...]
    ) -> Float[Array, 'n h2 w2 3']:
        """Images of small images and of latents; those of zero are what a call gives."""


def image_batch(n: int, height: int, width: int, channels: int = 3) -> jax.ShapeDtypeStruct:
    """The shape and type of n images, for `Network.example`."""
    return jax.ShapeDtypeStruct((n, height, width, channels), jnp.float32)
