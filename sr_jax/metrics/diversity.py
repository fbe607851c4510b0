"""How far apart the images are that a network draws of one small image."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def diversity(samples: Sequence[Float[np.ndarray, 'h w c']]) -> float:
    """Returns the deviation over the samples, mean over pixels and channels, in levels of 255.

    Lugmayr et al., SRFlow, 2020 (arXiv:2006.14200), section 4.1: the pixel standard deviation.

    Args:
      samples: images in [0, 1].
    """
    mean = np.mean(samples, axis=0, dtype=np.float64)
    variance = np.mean([np.square(sample - mean) for sample in samples], axis=0)
    return float(255 * np.sqrt(variance).mean())
