"""Mixtures of the weights of several networks: 'a.pth:0.7,b.pth:0.3'.

Between networks of one ancestor, such as two that were trained on from the same weights, a mixture
lies between them in what it does too: Wang et al. 2019, "Deep Network Interpolation for Continuous
Imagery Effect Transition" (arXiv:1811.10515), section 3. Of others, features that mean different
things are averaged: its images are worse than each network's, or dark.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import PyTree

from sr_jax.errors import InputError

PART = r'(.+?):([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)'
TOLERANCE = 1e-3  # of a sum of weights: thirds cannot be written out
# The least cosine between the kernels of networks of one ancestor. Of two SRVGGNetCompacts trained
# from different seeds it is 0.01, their mixture 1.0 dB below both; of one and what it was trained
# on to 0.97, their mixture between them.
RELATED = 0.1
# Real-ESRGAN's pair, whose second one keeps more of an image's noise.
GENERAL, KEEPING_NOISE = 'realesr-general-x4v3', 'realesr-general-wdn-x4v3'


def parse(source: str) -> list[tuple[str, float]]:
    """The parts of a mixture and their weights; none where a source is not one.

    Raises:
      InputError: the weights do not add up to 1.
    """
    if not re.fullmatch(f'{PART}(?:,{PART})+', source, re.IGNORECASE):
        return []
    found = re.findall(f'{PART}(?:,|$)', source, re.IGNORECASE)
    parts = [(name, float(weight)) for name, weight in found]
    total = math.fsum(weight for _, weight in parts)
    if not abs(total - 1) <= TOLERANCE:
        raise InputError(f'{source}: the weights of a mixture must add up to 1, not to {total:g}')
    return [(name, weight / total) for name, weight in parts]


def mix(several: Sequence[PyTree], weights: Sequence[float]) -> PyTree:
    """The weighted sum of variables of the same shapes; integers are those of the first."""

    def add_up(*leaves: Any) -> Any:
        arrays = [np.asarray(leaf) for leaf in leaves]
        if not jnp.issubdtype(arrays[0].dtype, jnp.floating):
            return arrays[0]
        terms = (np.float32(w) * array for w, array in zip(weights, arrays, strict=True))
        return sum(terms).astype(arrays[0].dtype)  # type: ignore[union-attr]

    return jax.tree.map(add_up, *several)


def describe_difference(first: nn.Module, second: nn.Module) -> str:
    """In which fields two networks differ, or ''."""
    if type(first) is not type(second):
        return f'{type(first).__name__} and {type(second).__name__}'
    names = [f.name for f in dataclasses.fields(first) if f.name not in ('parent', 'name')]
    pairs = ((name, getattr(first, name), getattr(second, name)) for name in names)
    return ', '.join(f'{name} {one} and {other}' for name, one, other in pairs if one != other)


def cosine(first: PyTree, second: PyTree) -> float:
    """The cosine between the kernels of two networks of the same shapes; 1 if there are none.

    That of kernels which were drawn independently is near 0, however they were trained.
    """
    kernels = [
        [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree) if leaf.ndim > 1]
        for tree in (first, second)
    ]
    product, one, other = (
        math.fsum(float(a @ b) for a, b in zip(kernels[i], kernels[j], strict=True))
        for i, j in ((0, 1), (0, 0), (1, 1))
    )
    return product / math.sqrt(one * other) if one * other > 0 else 1.0


def mix_denoising(weights: str, strength: float) -> str:
    """The mixture of Real-ESRGAN's general-x4v3 and its twin that smooths noise so much.

    The weight of the first is the strength, as with the option `-dn` of Real-ESRGAN's
    `inference_realesrgan.py`.

    Args:
      weights: one of the two files; the other lies beside it.
      strength: from 0, which keeps noise, to 1.

    Raises:
      InputError: it is another file, or the other one is not there.
    """
    path = Path(weights)
    pair = [path.with_name(f'{name}{path.suffix}') for name in (GENERAL, KEEPING_NOISE)]
    if path not in pair:
        raise InputError(
            f'--denoise is for {GENERAL} and {KEEPING_NOISE}, of which {weights} is neither: of '
            'others, --weights FILE:0.5,FILE:0.5 takes any mixture'
        )
    if strength in (0, 1):
        return str(pair[0 if strength else 1])
    missing = [str(file) for file in pair if not file.is_file()]
    if missing:
        raise InputError(f'--denoise {strength:g} mixes two files: {missing[0]} is missing')
    return f'{pair[0]}:{strength!r},{pair[1]}:{1 - strength!r}'
