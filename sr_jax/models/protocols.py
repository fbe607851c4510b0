"""What may be asked of a network, whichever it is.

A network is the `Model` of its file in this package: a linen module whose fields are the keys of a
config, each with a default. Nothing is inherited from here. What has these members is such a
network, and `isinstance` tells:

  Network     every one: which of its fields repeat layers, and what it may be called with
  Enlarger    one for super-resolution: its scale, and what it asks of the sizes of images
  Gridded     an enlarger that looks at an image in squares
  Limited     an enlarger that is one program for some sides alone
  Patchwise   an enlarger that can compute its layers in patches, for memory
  Looping     one whose equal blocks can be one loop
  Switchable  one whose convolutions can be switched ones
  Recurrent   an enlarger that sees a film frame by frame, and remembers
  Sampler     an enlarger that draws many images of a small one
  Coder       an autoencoder between images and maps of codes
  CodePrior   a distribution over maps of codes, drawn from one code after the other
  StyleGenerator  one that makes images of latents, by a style for each of its layers

Who needs to know more of one network than this asks that network, not its name.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sr_jax.layers.repeated import Loops
from sr_jax.layers.switching import Switching

Shape = tuple[int, int, int]  # height, width, channels
Limits = Mapping[str, tuple[float, float]]  # the least and the greatest number of fields


@runtime_checkable
class Network(Protocol):
    """Any network.

    Attributes:
      REPEATED: names of the fields that say how often something is repeated which has arrays of its
        own each time. Nothing can rightly ask for more repetitions than it has arrays, so that a
        damaged config or file is refused before such a network is built.
      LIMITS: may be left out. The least and the greatest number of fields, where they are not known
        by themselves: whole numbers of a config are at least 1, or 0 where that is the default;
        those of `REPEATED` are from 0 to `sr_jax.models.MAX_REPEATED`.
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
class Limited(Enlarger, Protocol):
    """An enlarger that is another program for images of some sides than for those of others."""

    @property
    def open_sides(self) -> tuple[int, int]:
        """The least and the greatest side of images that one program may be for."""


@runtime_checkable
class Patchwise(Enlarger, Protocol):
    """An enlarger whose layers can be computed in patches."""

    @property
    def patch(self) -> int:
        """A field: the side of the patches in pixels; 0: on the whole."""


@runtime_checkable
class Looping(Network, Protocol):
    """A network that applies equal blocks by `sr_jax.layers.repeated`."""

    @property
    def loops(self) -> Loops:
        """Names of these blocks, by the path in its parameters of what they are parts of; of loops
        in loops the inner ones first."""


@runtime_checkable
class Switchable(Network, Protocol):
    """A network with a field for switched convolutions."""

    @property
    def switching(self) -> Switching:
        """A field: which convolutions are switched, and how."""


@runtime_checkable
class Recurrent(Enlarger, Protocol):
    """An enlarger of films. Called with images, it takes each as the first frame of one."""

    @property
    def step_multiple(self) -> int:
        """Where windows of a film's frames may begin: at multiples of it, as their sides are."""

    @property
    def step_halo(self) -> int:
        """Pixels around one on which `step` depends, of what is remembered too."""

    @property
    def remat(self) -> bool:
        """A field: whether frames are computed again in the backward pass."""

    def apply(self, variables: Any, *inputs: Any, method: str) -> Any:
        """Flax's: calls the method with the variables."""

    def estimate_motion(
        self, earlier: Float[Array, 'n h w 3'], later: Float[Array, 'n h w 3']
    ) -> Float[Array, 'n h w 2']:
        """The motion from one frame to another, down and right, in pixels."""

    def start(self, frame: Float[Array, 'n h w 3']) -> Any:
        """What the first frame of a film finds; needs no variables."""

    def step(
        self, memory: Any, frame: Float[Array, 'n h w 3'], train: bool = False
    ) -> tuple[Any, Float[Array, 'n h w 2']]:
        """What a frame leaves to the next, its `image` [n, h2, w2, 3] among that; and the motion
        from the last frame to it, down and right, in pixels."""


@runtime_checkable
class Sampler(Enlarger, Protocol):
    """An enlarger that makes an image of a small one and of Gaussian latents."""

    def latent_shapes(self, height: int, width: int) -> list[Shape]:
        """[height, width, channels] of each of the latents for a small image of such sides."""

    def sample(
        self, x: Float[Array, 'n h w 3'], latents: tuple[Float[Array, 'n _ _ _'], ...]
    ) -> Float[Array, 'n h2 w2 3']:
        """Images of small images and of latents; those of zero are what a call gives."""


@runtime_checkable
class Coder(Network, Protocol):
    """An autoencoder between images and two maps of codes: 'top', at 1/8 of their size, and
    'bottom', at 1/4."""

    @property
    def code_sizes(self) -> dict[str, int]:
        """How many codes there are in each level."""

    def encode(self, x: Float[Array, 'n h w 3']) -> dict[str, Int[Array, 'n _ _']]:
        """The codes of images in [0, 1]."""

    def decode(self, codes: dict[str, Int[Array, 'n _ _']]) -> Float[Array, 'n h w 3']:
        """The images of codes, on the scale of [0, 1], not clipped."""


@runtime_checkable
class CodePrior(Network, Protocol):
    """A distribution over maps of codes [n, height, width]: of each, given those before it.

    A call gives all logits at once. Drawing goes row by row: `start` and `start_cache` once, then
    `start_row` for each row and `step` for each code of it, which give the same logits.
    """

    @property
    def codes(self) -> int:
        """How many codes there are."""

    @property
    def height(self) -> int:
        """Rows of a map."""

    @property
    def width(self) -> int:
        """Columns of a map."""

    @property
    def classes(self) -> int:
        """Of the images; 0: they are not told."""

    @property
    def conditioned(self) -> bool:
        """Whether it sees the codes of the level above."""

    @property
    def condition_codes(self) -> int:
        """How many codes there are above; 0: as many as here."""

    def __call__(
        self,
        codes: Int[Array, 'n h w'],
        condition: Int[Array, 'n h2 w2'] | None = None,
        label: Int[Array, ' n'] | None = None,
        train: bool = False,
    ) -> Float[Array, 'n h w codes']:
        """The logits of each code."""

    def start(
        self,
        n: int,
        condition: Int[Array, 'n h2 w2'] | None = None,
        label: Int[Array, ' n'] | None = None,
    ) -> Any:
        """What does not change while n maps are drawn."""

    def start_cache(self, n: int) -> Any:
        """What is kept of n maps, before their first row."""

    def start_row(self, fixed: Any, cache: Any, codes: Int[Array, 'n h w'], row: Array) -> Any:
        """What is kept at the start of a row."""

    def step(
        self, fixed: Any, cache: Any, codes: Int[Array, 'n h w'], row: Array, column: Array
    ) -> tuple[Float[Array, 'n codes'], Any]:
        """The logits of one code, and what is kept after it."""


@runtime_checkable
class StyleGenerator(Network, Protocol):
    """A generator of images from latents, in two parts: latents to styles, styles to images.

    A call makes the images of latents. They are on the scale of [0, 1], and not clipped.
    """

    @property
    def size(self) -> int:
        """The side of its images."""

    @property
    def channels(self) -> int:
        """Of its images."""

    @property
    def latent_size(self) -> int:
        """Numbers of a latent."""

    @property
    def num_styles(self) -> int:
        """How many layers take a style."""

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """The sides of the maps of noise that are added, in order."""

    def map_latents(self, z: Float[Array, 'n latent_size']) -> Float[Array, 'n d']:
        """The styles of latents of N(0, 1)."""

    def synthesize(
        self,
        styles: Float[Array, 'n num_styles d'],
        noise: Sequence[Float[Array, 'n_or_1 s s 1']] | None = None,
        train: bool = False,
    ) -> Float[Array, 'n size size c']:
        """The images of a style for each layer; of noise from N(0, 1), or the fixed one."""


def code_batch(n: int, height: int, width: int) -> jax.ShapeDtypeStruct:
    """The shape and type of n maps of codes, for `Network.example`."""
    return jax.ShapeDtypeStruct((n, height, width), jnp.int32)


def image_batch(n: int, height: int, width: int, channels: int = 3) -> jax.ShapeDtypeStruct:
    """The shape and type of n images, for `Network.example`."""
    return jax.ShapeDtypeStruct((n, height, width, channels), jnp.float32)
