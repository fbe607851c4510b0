"""A network for super-resolution as a pure function of images."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from sr_jax import models
from sr_jax.devices import compiling
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.inference import channels
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.layers.borders import apply_within
from sr_jax.layers.repeated import Repetition, repeating, stack_loops
from sr_jax.layers.winograd import fewer_products
from sr_jax.models.protocols import Enlarger, Looping

# As many pixels take RRDBNet 100 s on two cores, of which written out blocks save the 3 s that they
# are compiled longer.
MANY_PIXELS = 2**19
# Multiply-adds of convolutions, about. As many take 12 s on two cores; with fewer products a third
# less on some and about as long on others, each time, but programs are compiled 1 to 4 s longer.
MANY_PRODUCTS = 2**40
# Of one convolution, over its nine taps. On two cores of a Zen 4 so much saves twice the 0.15 s by
# which it is compiled longer; in bfloat16, which no cache keeps, less is saved.
WORTH_COMPILING = {'float32': 2**32, 'bfloat16': 2**35}


class Form(NamedTuple):
    """How a program is written. Its results are the same, but for rounding.

    Attributes:
      as_loop: equal blocks are one loop, which is compiled sooner and runs a little slower.
      few_products: 3 x 3 convolutions by Winograd's algorithm, where it is quicker on CPUs.
      devices: over which images are split.
      least: only convolutions of so much work have few products: see `winograd.fewer_products`.
    """

    as_loop: bool = False
    few_products: bool = False
    devices: int = 1
    least: float = 0

    def compiler_options(self, options: compiling.Options | None) -> compiling.Options | None:
        """Returns the options to compile with, of those for the device and the type."""
        soon = self.as_loop and (self.least or not self.few_products)
        return compiling.compile_soon(options) if soon else options

    def describe(self, repeats: bool) -> str:
        """Returns what is to be said of it, of a network that has equal blocks or not."""
        said = ', equal blocks as a loop' if self.as_loop else ', blocks written out'
        few = self.few_products and not self.least
        return (said if repeats else '') + ', few products' * few


def choose_form(
    pixels: float, weights: int, products: str, devices: int = 1, dtype: str = 'float32'
) -> Form:
    """Returns the form in which a program for so many pixels is done soonest.

    Where there are fewer products, blocks are always a loop: each convolution is compiled longer.

    Args:
      pixels: of all images.
      weights: the network's.
      products: one of `sr_jax.config.settings.PRODUCTS`.
      devices: over which images are split.
      dtype: name of the type of convolutions.
    """
    enough = pixels * weights >= MANY_PRODUCTS
    if products == 'few' or (products == 'auto' and enough):
        return Form(as_loop=True, few_products=True, devices=devices)
    if pixels >= MANY_PIXELS:
        return Form(devices=devices)
    least = WORTH_COMPILING.get(dtype)
    if products == 'all' or least is None:
        return Form(as_loop=True, devices=devices)
    return Form(as_loop=True, few_products=True, devices=devices, least=least)


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


def arrange(
    variables: Mapping[str, Any], module: Enlarger, as_loop: bool
) -> Mapping[str, Any]:
    """Returns a network's variables as a program takes them: what is one loop, in one tree."""
    if not (as_loop and isinstance(module, Looping)):
        return variables
    params = variables['params']
    if not all(isinstance(x, np.ndarray) for x in jax.tree.leaves(params)):
        return variables  # they lie on devices already
    return {**variables, 'params': stack_loops(params, module.loops)}


def apply_network(
    module: Any,
    count: int,
    source: str,
    bounded: bool,
    form: Form,
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
      form: of the program.
      variables: the network's, or these as `arrange` returns them.
      windows: the images, padded.
      valid: rows and columns of each that are image.
      drawn: latents of a flow.
    """
    inputs, method = ((tuple(drawn),), 'sample') if drawn else ((), '__call__')
    windows = channels.fit_channels(windows, module)
    repetition = Repetition.LOOP if form.as_loop else Repetition.WRITTEN_OUT
    with repeating(repetition), fewer_products(
        form.devices * form.few_products, form.least
    ):
        made = apply_within(module, variables, windows, valid, *inputs, method=method)
    restored = channels.restore_channels(made, count, source)
    return clip_finite(restored) if bounded else restored
