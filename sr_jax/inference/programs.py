"""A network for super-resolution as a pure function of images."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Array, Float, Int

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.inference import channels
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.layers.borders import apply_within
from sr_jax.layers.repeated import Repetition, repeating
from sr_jax.models.protocols import Enlarger


def make_module(network: LoadedNetwork, dtype: str) -> Enlarger:
    """The module of a network, once it was found to enlarge images.

    Raises:
      InputError: it does not.
    """
    module = network.module(dtype=dtype)
    if not isinstance(module, Enlarger):
        raise InputError(
            f'{network.source} holds a network of the kind {network.model["name"]!r}, which does '
            f'not enlarge images: take weights of {", ".join(models.names(Enlarger))}'
        )
    return module


def apply_network(
    module: Any,
    count: int,
    source: str,
    bounded: bool,
    as_loop: bool,
    variables: dict[str, Any],
    windows: Float[Array, 'n h w c'],
    valid: Int[Array, 'n 2'],
    drawn: Sequence[Array] = (),
) -> Float[Array, 'n h2 w2 c']:
    """Images through a network.

    Args:
      module: the network.
      count: channels of the images.
      source: what messages call the network.
      bounded: results are clipped to [0, 1].
      as_loop: equal blocks are one loop, which is compiled sooner and runs a little slower.
      variables: the network's.
      windows: the images, padded.
      valid: rows and columns of each that are image.
      drawn: latents of a flow.
    """
    inputs, method = ((tuple(drawn),), 'sample') if drawn else ((), '__call__')
    windows = channels.fit_channels(windows, module)
    with repeating(Repetition.LOOP if as_loop else Repetition.WRITTEN_OUT):
        made = apply_within(module, variables, windows, valid, *inputs, method=method)
    restored = channels.restore_channels(made, count, source)
    return clip_finite(restored) if bounded else restored
