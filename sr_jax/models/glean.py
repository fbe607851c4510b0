"""GLEAN: large factors of enlargement, by a trained StyleGAN2 as a bank (arXiv:2012.00739).

Chan et al. 2021. An encoder makes of a small image features at each resolution down to 4 pixels,
and a style for each layer of the generator; the generator, which is not trained, is given these
features on its way; a decoder makes the image of the encoder's features and the generator's.

As in the authors' program (mmagic, `glean_styleganv2.py`): the styles are no mapping network's, the
noise is the fixed one, and what the generator itself would show is made and not used. DL-Art-School
wrote another one from the paper, `sr_jax.models.glean_dlas`.
"""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution, kaiming_init, uniform_init
from sr_jax.layers.repeated import Loops, apply_repeated
from sr_jax.layers.resampling import pixel_shuffle
from sr_jax.layers.resolutions import START, channels_at, check_size, sides
from sr_jax.models.protocols import image_batch
from sr_jax.models.rrdb import RRDB, block_loops, block_names
from sr_jax.models.stylegan2 import NOISE, Fuse, Generator

BANK = 'generator'  # the collection that holds the generator's own collections
SLOPE = 0.2
LAST = 64  # features before the image

Maps = dict[int, Float[Array, 'n s s _c']]  # by their side


class GLEAN(nn.Module):
    """The authors' network; the defaults are theirs for cats, from 32 to 256 pixels.

    The generator's arrays are no parameters: they lie in a collection of their own, so that no
    optimizer and no average takes them. A run begins with a trained one by
    `config.train.start_from={'generator': ...}`.

    Attributes:
      in_size: side of the images given, a power of two from 4 on.
      size: side of the images made, the generator's.
      features: channels between the blocks of the encoder.
      num_blocks: blocks of three residual dense blocks in it.
      growth: channels that a convolution in them adds.
      latent_size, num_mapping, channel_base, channel_max: of the generator, as its own fields.
      dtype: name of the type that convolutions compute in; parameters and images are float32.
      remat: recompute activations in the backward pass, for memory.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks', 'num_mapping')
    halo: ClassVar[None] = None
    multiple: ClassVar[int] = 1

    in_size: int = 32
    size: int = 256
    features: int = 64
    num_blocks: int = 23
    growth: int = 32
    latent_size: int = 512
    num_mapping: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    dtype: str = 'float32'
    remat: bool = False

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along a side.

        Raises:
          InputError: sizes that are no powers of two, or the smaller one not first.
        """
        return check_sizes(self.in_size, self.size)

    @property
    def input_size(self) -> int:
        """The side that images must have."""
        return self.in_size

    @property
    def loops(self) -> Loops:
        """See `sr_jax.models.protocols.Looping`: the encoder's blocks."""
        return block_loops(self.num_blocks)

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.in_size, self.in_size)

    @nn.compact
    def __call__(self, x: Float[Array, 'n s s 3'], train: bool = False) -> Float[Array, 'n h h 3']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped).

        `train` changes nothing.

        Raises:
          InputError: sizes that are no powers of two, or images of another size.
        """
        check_sizes(self.in_size, self.size, x.shape)
        features, styles = self._encode(x.astype(jnp.float32) * 2 - 1)
        found = self._ask_generator(features, styles)
        h = features[self.in_size]
        for side in sides(self.size):
            if side > self.in_size:
                h = jnp.concatenate([h, found[side].astype(h.dtype)], axis=-1)
            if self.in_size <= side < self.size:
                start = kaiming_init(1.0)
                up = self._conv(f'up_{2 * side}', 4 * self._width(2 * side), kernel_init=start)
                h = pixel_shuffle(up(h), 2)
        h = nn.leaky_relu(self._conv('conv_hr', LAST)(h), SLOPE)
        return (self._conv('conv_last', 3)(h).astype(jnp.float32) + 1) / 2

    def _encode(self, x: Array) -> tuple[Maps, Float[Array, 'n l d']]:
        """Returns features by resolution, and the style of each layer of the generator."""
        first = self._conv('conv_first', self.features)(x)
        last = apply_blocks(self, first)
        h = first + self._conv('conv_body', self.features)(last)
        h = nn.leaky_relu(self._conv('conv_in', self._width(self.in_size))(h), SLOPE)
        features = {self.in_size: h}
        for side in sides(self.in_size)[-2::-1]:
            for i, stride in enumerate((2, 1)):
                conv = self._conv(f'down_{side}_{i}', self._width(side), stride=stride)
                h = nn.leaky_relu(conv(h), SLOPE)
            features[side] = h
        h = nn.leaky_relu(self._conv('conv_styles', self._width(START))(h), SLOPE)
        h = h.astype(jnp.float32).reshape(len(h), -1)
        start = uniform_init(h.shape[-1])
        number = 2 * len(sides(self.size))
        linear = nn.Dense(
            number * self.latent_size, kernel_init=start, bias_init=start, name='styles'
        )
        return features, linear(h).reshape(len(h), number, self.latent_size)

    def _ask_generator(self, features: Maps, styles: Float[Array, 'n l d']) -> Maps:
        """Returns the generator's features by resolution, beyond the size of the images given."""
        found: Maps = {}

        def fuse(side: int, x: Array, image: Array) -> tuple[Array, Array]:
            if side > self.in_size:
                found[side] = x
                return x, image
            both = jnp.concatenate([x, features[side].astype(x.dtype)], axis=-1)
            x = self._conv(f'fusion_{side}', self._width(side))(both)
            both = jnp.concatenate([image, features[side].astype(image.dtype)], axis=-1)
            return x, self._conv(f'fusion_image_{side}', 3)(both).astype(jnp.float32)

        ask_generator(self, self.size, styles, fuse)
        return found

    def _conv(self, name: str, features: int, **fields: Any) -> Convolution:
        return Convolution(features, 3, dtype=self.dtype, name=name, **fields)

    def _width(self, side: int) -> int:
        return channels_at(side, self.channel_base, self.channel_max)


def check_sizes(in_size: int, size: int, shape: tuple[int, ...] = ()) -> int:
    """Returns the factor from one size to the other.

    Args:
      in_size: of the images given.
      size: of those made.
      shape: of a batch that is given, if there is one.

    Raises:
      InputError: sizes that are no powers of two, the smaller one not first, or another shape.
    """
    check_size(size)
    if not START <= in_size < size or in_size & (in_size - 1):
        raise InputError(
            f'in_size is {in_size}: the side of the images given must be a power of two from '
            f'{START} to {size // 2}, half of size'
        )
    if shape and shape[1:3] != (in_size, in_size):
        raise InputError(
            f'this GLEAN takes images of {in_size} x {in_size}, not {shape[1]} x {shape[2]}: '
            'crop or resize them, or change in_size'
        )
    return size // in_size


def apply_blocks(parent: Any, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
    """Returns what the encoder's blocks make of features; to be used in a compact method."""
    block = nn.remat(RRDB, static_argnums=(2,)) if parent.remat else RRDB
    make = functools.partial(block, parent.growth, parent.dtype)
    return apply_repeated(parent, make, block_names(parent.num_blocks), x, False)[0]


def ask_generator(parent: Any, size: int, styles: Float[Array, 'n l d'], fuse: Fuse) -> None:
    """Runs the generator that a network holds in its collection BANK.

    Args:
      parent: the network, in a compact method; its fields name the generator's.
      size: of the generator's images.
      styles: one for each of its layers.
      fuse: is given what it makes: see `Generator.synthesize`.
    """
    model = Generator(
        *(size, parent.latent_size, parent.num_mapping),
        channel_base=parent.channel_base,
        channel_max=parent.channel_max,
        dtype=parent.dtype,
        remat=parent.remat,
        parent=None,
    )

    @functools.cache
    def start() -> Any:
        latent = jnp.zeros((1, parent.latent_size), jnp.float32)
        return model.init(parent.make_rng('params'), latent)

    variables = {
        kind: parent.variable(BANK, kind, lambda kind=kind: start()[kind]).value
        for kind in ('params', NOISE)
    }
    model.apply(variables, styles, fuse=fuse, method='synthesize')


Model = GLEAN
