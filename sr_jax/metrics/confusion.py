"""What is counted of pairs of classes, and what follows from the counts."""

import numpy as np
from jaxtyping import Float, Integer, Shaped


def intersection_over_union(
    counts: Integer[np.ndarray, 'k k'],
) -> Float[np.ndarray, ' k']:
    """Returns for each class how many pixels are of it in truth and by guess, over those that are
    by either; NaN for one that there is not.

    Args:
      counts: pixels by their true class, and by their guessed one.
    """
    both = np.diagonal(counts)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def accuracy(counts: Integer[np.ndarray, 'k k']) -> float:
    """Returns the share of the pixels whose class is guessed; NaN without pixels."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float('nan')


def mutual_information(counts: Shaped[np.ndarray, 'a b']) -> float:
    """Returns how many bits one of two labels of a pixel tells of the other.

    Args:
      counts: pixels by both labels.
    """
    both = counts / counts.sum()
    alone = both.sum(axis=1, keepdims=True) * both.sum(axis=0, keepdims=True)
    there = both > 0
    return float(np.sum(both[there] * np.log2(both[there] / alone[there])))


def entropy(counts: Shaped[np.ndarray, ' k']) -> float:
    """Returns how many bits a label has, of how often there is each."""
    share = counts[counts > 0] / counts.sum()
    return float(-np.sum(share * np.log2(share)))
