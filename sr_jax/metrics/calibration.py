"""How far a classifier's confidence is from how often it is right."""

import math

import numpy as np
from jaxtyping import Bool, Float

BINS = 15


def expected_calibration_error(
    confidence: Float[np.ndarray, ' n'], correct: Bool[np.ndarray, ' n'], bins: int = BINS
) -> float:
    """Returns the mean difference of confidence and accuracy, over bins of equal width, weighted
    by how many examples are in each (Guo et al. 2017, arXiv:1706.04599, equation 3).

    The sums are exact, so that the order of the examples does not matter.

    Args:
      confidence: probability of the class that was guessed, in [0, 1].
      correct: whether the guess was right.
      bins: how many; a value on a border belongs to the lower one, as in the paper.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = (
        math.fsum(confidence[place == i]) - int(correct[place == i].sum()) for i in range(bins)
    )
    return math.fsum(abs(gap) for gap in gaps) / len(confidence)
