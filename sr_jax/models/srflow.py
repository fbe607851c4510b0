"""SRFlow: a normalizing flow from true images to Gaussian latents, given the small image.

Lugmayr et al. 2020, "SRFlow: Learning the Super-Resolution Space with Normalizing Flow"
(arXiv:2006.14200), as in the authors' code (andreas128/SRFlow). The defaults are the published
network for x4 (DF2K). What the original keeps at the size of each level, the stacked features of
the encoder, is kept here at the small image's: the flow's first convolutions take them from
there, with the same result (`JointConvolution`).
"""

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from sr_jax.errors import InputError
from sr_jax.layers.flow.coupling import MIN_SCALE
from sr_jax.layers.flow.gaussian import log_density
from sr_jax.layers.flow.split import Split
from sr_jax.layers.flow.steps import FlowStep, FlowSteps
from sr_jax.layers.repeated import Loops
from sr_jax.layers.resampling import pixel_shuffle, pixel_unshuffle
from sr_jax.models.protocols import Limits, image_batch
from sr_jax.models.rrdb import RRDBNet, block_loops

LEVELS = {4: 3, 8: 4}
COLORS = 3
TRANSITIONS = 2  # steps without a coupling at the start of each level
STEP_RADIUS = 2  # of a coupling: convolutions of 3, 1 and 3 taps

Maps = tuple[Float[Array, 'n h w c'], ...]
Latents = tuple[Float[Array, 'n h w c'], ...]


class Encoding(NamedTuple):
    """A true image as the flow sees it.

    Attributes:
      latents: those that leave at each split, then the last ones: for x4 [N, H/2, W/2, 6] and
        [N, H/8, W/8, 96], for x8 [N, H/2, W/2, 6], [N, H/4, W/4, 12] and [N, H/16, W/16, 192].
      log_likelihood: log p(hq | lq) of each image, in nats, of the density over [0, 1].
      finite: {level: whether z was finite after each of its steps, from its transition steps on}.
    """

    latents: Latents
    log_likelihood: Float[Array, ' n']
    finite: dict[str, Bool[Array, ' steps']]


class SRFlow(nn.Module):
    """A conditional flow, and the RRDBNet whose features it depends on.

    Called, it is a network for super-resolution like any other: it gives the image of latents
    that are zero. `encode` and `decode` are the flow and its inverse; both take what `condition`
    makes of the small images.

    Attributes:
      scale: 4 or 8; there are 3 or 4 levels, each at half the size of the one before.
      features: channels of the encoder between its blocks.
      num_blocks: of the encoder; 23 for the published x4, 8 for x8 (faces).
      growth: of the encoder.
      stacked: how many of the encoder's blocks, evenly back from the last, give their outputs to
        the flow beside the features of each level (1, 8, 15 and 22 of 23; 1, 3, 5 and 7 of 8).
      steps: conditional steps of a level, the paper's K.
      hidden: channels inside the couplings.
      transitions: steps without a coupling at the start of each level.
      mixing: of channels, 'plain' or 'plu', or 'emerging', which mixes neighbors as well and whose
        inverse looks at whole images: see `sr_jax.layers.flow.mixing`.
      middle: taps along a side of the couplings' second convolution: 1 as published; 3 lets every
        step see further.
      min_scale: that a coupling can multiply by, over 0 and under 1: 1e-4 as published; with a
        larger one fewer samples explode: see `sr_jax.layers.flow.coupling`.
      max_noise: largest deviation of the noise that training adds to true images, and of which
        the flow is told, by one more map, how much there is: Kim et al. 2020, "SoftFlow"
        (arXiv:2006.04604). Images are drawn for none. 0 as published: no such map.
      memory: of the backward pass through the conditional steps: 'keep', 'remat' or 'reversible':
        see `sr_jax.layers.flow.steps`.
      dtype: name of the type that convolutions compute in; latents, scales, log-determinants,
        parameters and images are float32.
      remat: recompute the encoder's blocks, and turn memory='keep' into 'remat'.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks', 'stacked')  # the steps are stacked
    LIMITS: ClassVar[Limits] = {'transitions': (0, math.inf)}
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_blocks: int = 23
    growth: int = 32
    stacked: int = 4
    steps: int = 16
    hidden: int = 64
    transitions: int = TRANSITIONS
    mixing: str = 'plain'
    middle: int = 1
    min_scale: float = MIN_SCALE
    max_noise: float = 0.0
    memory: str = 'keep'
    dtype: str = 'float32'
    remat: bool = False

    def setup(self) -> None:
        """Makes the parts."""
        if not 0 < self.min_scale < 1:
            raise InputError(f'min_scale={self.min_scale}: take one between 0 and 1')
        if not 0 <= self.max_noise < 1:
            raise InputError(f'max_noise={self.max_noise}: take 0, or one up to 1')
        levels = self.levels
        self.rrdb = RRDBNet(
            scale=self.scale,
            features=self.features,
            num_blocks=self.num_blocks,
            growth=self.growth,
            dtype=self.dtype,
            remat=self.remat,
            skip_from_blocks=True,
        )
        self.transition = [self._steps(i, coupled=False) for i in range(levels)]
        self.level = [self._steps(i, coupled=True) for i in range(levels)]
        self.split = [Split(c, self.dtype) for c in self._channels()[: levels - 2]]

    @property
    def levels(self) -> int:
        """How often the images are halved.

        Raises:
          InputError: there is no such scale.
        """
        if self.scale not in LEVELS:
            raise InputError(f'SRFlow enlarges by 4 or 8, not by {self.scale!r}: change scale')
        return LEVELS[self.scale]

    @property
    def multiple(self) -> int:
        """What the sides of a small image must be multiples of."""
        return 2**self.levels // self.scale

    @property
    def loops(self) -> Loops:
        """See `sr_jax.models.protocols.Looping`: the encoder's blocks."""
        return block_loops(self.num_blocks, 'rrdb')

    @property
    def halo(self) -> int | None:
        """Pixels of the small image around one on which its enlargement depends; None: all.

        Each level's steps look at its latents and maps, and at what the levels below made of
        theirs; all look at the encoder's features.
        """
        if self.mixing == 'emerging':
            return None
        flow = 0.0
        for level in range(self.levels):
            pixels = 2 ** (level + 1) / self.scale  # of the small image, in one of the level
            flow += pixels * (STEP_RADIUS + self.middle // 2) * (self.steps + 1)
        encoder = RRDBNet(scale=self.scale, num_blocks=self.num_blocks).halo
        assert encoder is not None  # no convolution of it is switched
        return math.ceil((flow + encoder) / self.multiple) * self.multiple

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32)

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """[height, width, channels] of each of the latents for a small image of such sides.

        Raises:
          InputError: sides that are no multiples of `multiple`.
        """
        if height % self.multiple or width % self.multiple:
            raise InputError(
                f'SRFlow takes small images whose sides are multiples of {self.multiple}, not '
                f'{height} x {width}: crop or pad them'
            )
        channels = self._channels()
        leaving = [(i, channels[i] // 2) for i in range(self.levels - 2)]
        return [
            (height * self.scale // 2 ** (i + 1), width * self.scale // 2 ** (i + 1), count)
            for i, count in [*leaving, (self.levels - 1, channels[-1])]
        ]

    def __call__(
        self, x: Float[Array, 'n h w 3'], train: bool = False
    ) -> Float[Array, 'n h2 w2 3']:
        """Images `scale` times as high and as wide, of latents of zero (not clipped to [0, 1]).

        `train` changes nothing.

        Raises:
          InputError: sides that are no multiples of `multiple`.
        """
        shapes = self.latent_shapes(*x.shape[1:3])
        zeros = (jnp.zeros((x.shape[0], *shape), jnp.float32) for shape in shapes)
        return self.sample(x, tuple(zeros))

    def sample(self, x: Float[Array, 'n h w 3'], latents: Latents) -> Float[Array, 'n h2 w2 3']:
        """Images of small images and of latents as `latent_shapes` has them."""
        return self.decode(self.condition(x), latents)

    def condition(
        self, x: Float[Array, 'n h w 3'], noise: Float[Array, ' n'] | None = None
    ) -> tuple[Maps, ...]:
        """What the flow is to depend on, for each level.

        Two maps: features at the level's size, and the stacked ones at the small image's (on the
        last level at half of that, every other pixel).

        Args:
          x: small images.
          noise: deviation of the noise that was added to each true image, where the flow is told
            (`max_noise`); None: no noise.
        """
        every = max((self.num_blocks - 1) // max(self.stacked - 1, 1), 1)
        last = self.num_blocks - 1
        blocks = [last - every * i for i in reversed(range(self.stacked))]
        if not blocks or blocks[0] < 0:
            raise InputError(
                f'stacked={self.stacked} of num_blocks={self.num_blocks}: take at least 1, and no '
                'more than there are'
            )
        _, found = self.rrdb.with_features(x, blocks)
        if self.max_noise:
            level = jnp.zeros(x.shape[0], jnp.float32) if noise is None else noise / self.max_noise
            shape = (*x.shape[:3], 1)
            found.blocks.append(jnp.broadcast_to(level[:, None, None, None], shape))
        stacked = jnp.concatenate(found.blocks, axis=-1)
        n, h, w, _ = found.trunk.shape
        halved = found.trunk.reshape(n, h // 2, 2, w // 2, 2, -1).mean((2, 4))
        sizes = [*found.doubled[: self.levels - 2][::-1], found.trunk]
        return (*((near, stacked) for near in sizes), (halved, stacked[:, ::2, ::2]))

    def encode(self, hq: Float[Array, 'n h w 3'], condition: Sequence[Maps]) -> Encoding:
        """The latents of true images and their likelihood, given what `condition` returned.

        A call in which the collection 'params' is mutable begins with the data: see `ActNorm`.
        """
        z, latents = hq.astype(jnp.float32), []
        total, finite = jnp.zeros(len(hq), jnp.float32), {}
        for i, maps in enumerate(condition):
            z = pixel_unshuffle(z, 2)
            flags = []
            for steps in (self.transition[i], self.level[i]):
                z, gained, found = steps(z, maps)
                total += gained
                flags.append(found)
            finite[f'level_{i}'] = jnp.concatenate(flags)
            if i < len(self.split):
                z, leaving, gained = self.split[i](z)
                latents.append(leaving)
                total += gained
        return Encoding((*latents, z), total + log_density(z), finite)

    def decode(self, condition: Sequence[Maps], latents: Latents) -> Float[Array, 'n h w 3']:
        """The true images that have such latents: the inverse of `encode`."""
        *leaving, z = latents
        for i in reversed(range(self.levels)):
            if i < len(self.split):
                z = self.split[i].inverse(z, leaving[i])
            for steps in (self.level[i], self.transition[i]):
                z = steps.inverse(z, condition[i])
            z = pixel_shuffle(z, 2)
        return z

    def _channels(self) -> list[int]:
        """Channels of z at each level."""
        channels = [4 * COLORS]
        for i in range(self.levels - 1):
            channels.append(4 * channels[-1] // (2 if i < self.levels - 2 else 1))
        return channels

    def _steps(self, level: int, coupled: bool) -> FlowSteps:
        step = FlowStep(
            self._channels()[level],
            coupled,
            self.hidden,
            self.mixing,
            self.dtype,
            self.middle,
            self.min_scale,
            parent=None,
        )
        memory = 'remat' if self.remat and self.memory == 'keep' else self.memory
        return FlowSteps(self.steps if coupled else self.transitions, step, memory)


Model = SRFlow
