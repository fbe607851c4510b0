"""Images for networks that take and make others than of three channels.

RGB goes through a network of one channel as its luma, and comes back grey. A network of four
channels is for RGBA.
"""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Num

from sr_jax.errors import InputError
from sr_jax.models.protocols import Enlarger

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
TAKEN = (1, 3, 4)


def count_channels(module: Enlarger, source: str) -> int:
    """The channels of images that go through a network: 4 where it takes so many, else 3.

    Args:
      module: the network.
      source: what messages call it.

    Raises:
      InputError: it takes images of other channels than 1, 3 and 4.
    """
    channels = module.example(1).shape[-1]
    if channels not in TAKEN:
        raise InputError(
            f'{source}: this network takes images of {channels} channels; grey, RGB and RGBA are '
            'enlarged'
        )
    return 4 if channels == 4 else 3


def fit_channels(images: Float[Array, 'n h w c'], module: nn.Module) -> Float[Array, 'n h w c2']:
    """RGB or RGBA images as the network takes them."""
    if module.example(1).shape[-1] != 1:
        return images
    return jnp.sum(images * jnp.array(LUMA)[None, None, None], axis=-1, keepdims=True)


def restore_channels(
    made: Float[Array, 'n h w c'], channels: int, source: str
) -> Float[Array, 'n h w channels']:
    """What a network made, in as many channels as `count_channels` says.

    Raises:
      InputError: it made others than grey images, or ones of so many channels.
    """
    if made.shape[-1] not in (1, channels) or made.shape[-1] < channels == 4:
        raise InputError(
            f'{source}: this network makes {made.shape[-1]} channels of images of {channels}; '
            'grey of any, RGB of RGB and RGBA of RGBA are what is taken here'
        )
    return jnp.broadcast_to(made, (*made.shape[:-1], channels))


def add_opacity(pixels: Num[np.ndarray, 'h w 3']) -> Num[np.ndarray, 'h w 4']:
    """RGB as RGBA without transparency."""
    most = 1 if pixels.dtype.kind == 'f' else np.iinfo(pixels.dtype).max
    return np.concatenate([pixels, np.full_like(pixels[..., :1], most)], axis=-1)
