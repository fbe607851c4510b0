"""3 x 3 convolutions in bfloat16 by half of the products: F(4, 3) down the columns.

As `winograd`, along one side: four rows are made of six at a time, by 18 products for four pixels
of a column in place of 36, which are six convolutions of 1 x 3 taps. In bfloat16 a product takes
half of float32's time and a transform does not, so that the transforms of a second side would take
as long as what they save (BENCHMARKS.md). And what is rounded to 8 bits is rounded once more, not
twice.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, BFloat16

from sr_jax.layers import correlation, toom_cook
from sr_jax.layers.toom_cook import SIDE, TILE


def convolve(
    x: BFloat16[Array, 'n h w c'], kernel: BFloat16[Array, '3 3 c o']
) -> BFloat16[Array, 'n h w o']:
    """Returns the cross-correlation of x, images or features, with a kernel, a zero around x.

    The barrier keeps oneDNN from adding results up in bfloat16.
    """
    n, height, width, _ = x.shape
    whole = -(-height // TILE) * TILE
    padded = jnp.pad(x, ((0, 0), (1, whole + 1 - height), (0, 0), (0, 0)))
    rows = [padded[:, i : i + whole - TILE + 1 : TILE].astype(jnp.float32) for i in range(SIDE)]
    places = [part.astype(x.dtype) for part in toom_cook.combine(toom_cook.INPUT, rows)]
    pairs = zip(places, transform_kernel(kernel), strict=True)
    products = [correlation.correlate(*pair, stride=1, padded=True) for pair in pairs]
    products = [part.astype(jnp.float32) for part in lax.optimization_barrier(products)]
    made = jnp.stack(toom_cook.combine(toom_cook.OUTPUT, products), axis=2)
    return made.reshape(n, whole, width, -1)[:, :height].astype(x.dtype)


def transform_kernel(kernel: BFloat16[Array, '3 3 c o']) -> list[BFloat16[Array, '1 3 c o']]:
    """Returns a kernel's six of one row each."""
    rows = toom_cook.combine(toom_cook.KERNEL, list(kernel.astype(jnp.float32)))
    return [row[None].astype(kernel.dtype) for row in rows]
