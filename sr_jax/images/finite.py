"""What a network makes that is not finite is an error: clipped or rounded it would pass for colour.

A type with a small range (float16) overflows, and damaged weights give anything.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.errors import InputError

REMEDY = (
    'in float16 numbers end at 65504, and float32 or bfloat16 hold larger ones (--dtype, '
    'config.dtype); if it is computed in one of these, the weights are damaged or its training '
    'has gone wrong'
)


def clip_finite(image: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Clips to [0, 1]; what is not finite becomes NaN, so that no infinity passes for white."""
    return jnp.where(jnp.isfinite(image), jnp.clip(image, 0.0, 1.0), jnp.nan)


def check_finite(values: Any, what: str) -> None:
    """Raises `InputError` when a floating number of a tree of arrays is not finite.

    Args:
      values: what a network returned; arrays of other types are passed over.
      what: the message begins with it: whose values these are.
    """
    arrays = (np.asarray(leaf) for leaf in jax.tree.leaves(values))
    if not all(np.isfinite(x).all() for x in arrays if jnp.issubdtype(x.dtype, jnp.floating)):
        raise InputError(f'{what} has values that are not finite: {REMEDY}')
