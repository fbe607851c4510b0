"""What turns tiles of a signal to where filtering them is one product each: Toom and Cook's.

Winograd's minimal filtering F(4, 3), after Lavin and Gray 2015, "Fast Algorithms for Convolutional
Neural Networks" (arXiv:1509.09308), section 4.1: 6 numbers, of which neighbors share 2, and 3 taps
make 4 numbers by 6 products, where 12 are usual. They interpolate at 0, +-1/sqrt(2), +-sqrt(2) and
infinity, where the article has +-1 and +-2: the error in float32 is a fifth of theirs, about that
of a plain convolution (points were compared by Barabasz et al. 2020, arXiv:1803.10986).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array

TILE = 4
SIDE = TILE + 2
POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))


def combine(matrix: np.ndarray, parts: Sequence[Array]) -> list[Array]:
    """Returns the products of a small matrix and parts, written out without those with 0."""
    made = []
    for row in matrix:
        terms = [part * float(factor) for factor, part in zip(row, parts, strict=True) if factor]
        made.append(sum(terms[1:], terms[0]))
    return made


def _make_matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what transforms input, kernel and output along a side.

    Rows of the first are made as large as others by powers of 2, which the second's divide by.
    """
    others = [[b for b in POINTS if b != a] for a in POINTS]
    of_input = np.zeros((SIDE, SIDE))
    for row, roots in zip(of_input, others, strict=False):
        row[: SIDE - 1] = np.poly(roots)[::-1]
    of_input[-1] = np.poly(POINTS)[::-1]
    of_input[np.abs(of_input) < 1e-12] = 0
    powers = np.power.outer(np.array(POINTS), np.arange(TILE))
    scales = [np.prod([a - b for b in roots]) for a, roots in zip(POINTS, others, strict=True)]
    of_kernel = np.vstack([powers[:, :3] / np.array(scales)[:, None], [0, 0, 1]])
    of_output = np.hstack([powers.T, np.eye(TILE)[:, -1:]])
    largest = 2 ** np.round(np.log2(np.abs(of_input).max(axis=1, keepdims=True)))
    return of_input / largest, of_kernel * largest, of_output


INPUT, KERNEL, OUTPUT = _make_matrices()
