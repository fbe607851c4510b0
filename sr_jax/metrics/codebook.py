"""How much of a codebook is in use, from how often each code was chosen."""

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Num


def usage(counts: Num[jax.Array | np.ndarray, ' size']) -> Float[ArrayLike, '']:
    """Returns the fraction of the codes that were chosen at all.

    Numpy in, numpy out, as for JAX.
    """
    xp = counts.__array_namespace__()
    return xp.mean(xp.astype(counts > 0, xp.float32))


def perplexity(counts: Num[jax.Array | np.ndarray, ' size']) -> Float[ArrayLike, '']:
    """Returns exp of the entropy of the choices: from 1 (one code) to `size` (all alike).

    Numpy in, numpy out, as for JAX. It is 1 when nothing was counted.
    """
    xp = counts.__array_namespace__()
    total = xp.sum(counts)
    share = counts / xp.where(total > 0, total, 1)
    return xp.exp(-xp.sum(share * xp.log(xp.where(share > 0, share, 1))))
