"""A trained network made wider without a change of its output: Net2WiderNet.

Chen, Goodfellow, Shlens 2016 (arXiv:1511.05641), section 2.2 and algorithm 1: a new channel is a
copy of an old one, and what reads it splits its weights over the copies. For networks of
convolutions whose channels meet only in convolutions, in sums of equally wide features, in
activations and in concatenations.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, Int

from sr_jax.errors import InputError

Parts = tuple[tuple[int, int], ...]


def copies(narrow: int, wide: int) -> Int[np.ndarray, 'wide']:
    """Returns which of `narrow` channels each of `wide` ones is: those, then again in turn.

    The paper draws the copied channels at random. Here they follow from the two widths alone, so
    that features of the same widths, which sums bring together, are copied alike.

    Raises InputError for fewer channels than before.
    """
    if wide < narrow:
        raise InputError(f'{narrow} channels cannot be widened to {wide}: give at least as many')
    return np.arange(wide) % narrow


def widen_kernel(
    kernel: Float[Array, 'k k c o'],
    inputs: Int[np.ndarray, 'c2'],
    outputs: Int[np.ndarray, 'o2'],
    rng: Array,
    unevenness: float,
) -> Float[Array, 'k k c2 o2']:
    """Returns the kernel between copied channels, each weight split over the copies of its input.

    Every share is in proportion to a number from U(1 - unevenness, 1 + unevenness), its own for
    each tap and output. (Equal shares, or one for each copy, would give copies the same gradient
    up to a factor, which Adam takes away: they would stay copies. The paper adds noise to the
    weights instead, which changes the output.)

    Args:
      kernel: of the narrow network.
      inputs: which old channel each new input is, from `copies`.
      outputs: likewise of the outputs.
      rng: for the shares.
      unevenness: of the shares, in [0, 1).
    """
    wide = kernel[:, :, inputs][..., outputs]
    least, most = 1 - unevenness, 1 + unevenness
    parts = jax.random.uniform(rng, (wide.size,), jnp.float32, least, most)
    parts = parts.reshape(wide.shape)
    together = jnp.zeros(kernel.shape[:3] + outputs.shape, jnp.float32).at[:, :, inputs].add(parts)
    return wide * parts / together[:, :, inputs]


def widen(
    params: Mapping[str, Any],
    wider: Mapping[str, Any],
    rng: Array,
    concatenated: Mapping[str, Parts] | None = None,
    unevenness: float = 0.5,
) -> dict[str, Any]:
    """Returns the parameters of a wider network with the same output, up to the rounding of sums.

    Args:
      params: of the trained network: kernels [k, k, in, out] and biases [out].
      wider: those of the wider network, or their shapes; the same names.
      rng: for the shares of the copies.
      concatenated: by the path of a convolution that reads concatenated features, the (narrow,
        wide) numbers of channels of each of its parts; where every part keeps its number it may
        be left out.
      unevenness: of the shares, in [0, 1).

    Raises:
      InputError: other names, fewer channels, other taps, or parameters that are no convolution's.
    """
    flat = traverse_util.flatten_dict(dict(params), sep='/')
    shapes = {k: v.shape for k, v in traverse_util.flatten_dict(dict(wider), sep='/').items()}
    if flat.keys() != shapes.keys():
        name = sorted(flat.keys() ^ shapes.keys())[0]
        raise InputError(f'both networks must have the same layers, but only one has {name}')
    widened = {}
    for number, (name, value) in enumerate(sorted(flat.items())):
        layer, _, kind = name.rpartition('/')
        outputs = copies(value.shape[-1], shapes[name][-1])
        if kind == 'bias' and value.ndim == 1:
            widened[name] = value[outputs]
            continue
        if kind != 'kernel' or value.ndim != 4 or value.shape[:2] != shapes[name][:2]:
            raise InputError(f'{name} {value.shape} cannot be widened to {shapes[name]}')
        parts = (concatenated or {}).get(layer) or ((value.shape[2], shapes[name][2]),)
        inputs = _concatenated_copies(parts)
        if (value.shape[2], shapes[name][2]) != (inputs.max() + 1, len(inputs)):
            raise InputError(f'the parts {parts} do not make up the inputs of {layer}')
        key = jax.random.fold_in(rng, number)
        widened[name] = widen_kernel(value, inputs, outputs, key, unevenness)
    return traverse_util.unflatten_dict(widened, sep='/')


def _concatenated_copies(parts: Parts) -> Int[np.ndarray, 'wide']:
    offsets = np.cumsum([0, *(narrow for narrow, _ in parts)])
    return np.concatenate([copies(*part) + at for part, at in zip(parts, offsets, strict=False)])
