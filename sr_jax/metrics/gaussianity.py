"""How far latents are from independent standard normal numbers."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

LAGS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))  # rows and columns between two pixels


class Gaussianity(NamedTuple):
    """Statistics of latents [h, w, c], and what they are of as many standard normal numbers.

    Attributes:
      numbers: height * width * channels.
      mean, deviation: of all of them; 0 and 1 expected.
      skewness, kurtosis: of the standardised third and fourth moment, the latter less 3; 0
        expected.
      autocorrelation: {(rows, columns): correlation of a channel's values at pixels so far apart,
        of the latents less each channel's mean, mean over channels}; 0 expected.
      channel_correlation: root of the mean square of the correlations between two channels; 0
        expected.
      deviates: {name: by how many standard errors each statistic is off}; 'autocorrelation' is that
        of the lag that is furthest off. The standard errors are those of independent normal
        numbers: 1 / sqrt(n) for the mean and autocorrelations, 1 / sqrt(2 n) for the deviation,
        sqrt(6 / n) and sqrt(24 / n) for skewness and kurtosis.
    """

    numbers: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float
    autocorrelation: dict[tuple[int, int], float]
    channel_correlation: float
    deviates: dict[str, float]


def gaussianity(latents: Float[np.ndarray, 'h w c']) -> Gaussianity:
    """Measures latents, in float64.

    Raises:
      ValueError: fewer than two pixels, so that nothing can be correlated.
    """
    x = np.asarray(latents, np.float64)
    if x.shape[0] * x.shape[1] < 2:
        raise ValueError(f'latents of {x.shape[0]} x {x.shape[1]} pixels have no correlations')
    mean, deviation = x.mean(), x.std()
    standard = (x - mean) / max(deviation, np.finfo(np.float64).tiny)
    skewness, kurtosis = (standard**3).mean(), (standard**4).mean() - 3
    centered = x - x.mean((0, 1))
    pairs = {lag: _pairs(centered, *lag) for lag in LAGS}
    correlations = {lag: _correlation(*two) for lag, two in pairs.items() if two[0].size}
    n = x.size
    off = [abs(r) * np.sqrt(pairs[lag][0].size) for lag, r in correlations.items()]
    return Gaussianity(
        n,
        float(mean),
        float(deviation),
        float(skewness),
        float(kurtosis),
        correlations,
        _between_channels(centered),
        {
            'mean': float(abs(mean) * np.sqrt(n)),
            'deviation': float(abs(deviation - 1) * np.sqrt(2 * n)),
            'skewness': float(abs(skewness) / np.sqrt(6 / n)),
            'kurtosis': float(abs(kurtosis) / np.sqrt(24 / n)),
            'autocorrelation': float(max(off)),
        },
    )


def _pairs(x: np.ndarray, down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the values of pixels, and of those so far from them."""
    height, width = x.shape[:2]
    return x[: max(height - down, 0), : max(width - right, 0)], x[down:, right:]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the correlation of two maps less their channels' means, mean over channels."""
    product = (first * second).mean((0, 1))
    power = np.sqrt(np.square(first).mean((0, 1)) * np.square(second).mean((0, 1)))
    return float((product / np.maximum(power, np.finfo(np.float64).tiny)).mean())


def _between_channels(centered: np.ndarray) -> float:
    channels = centered.shape[-1]
    if channels < 2:
        return 0.0
    flat = centered.reshape(-1, channels)
    power = np.sqrt(np.square(flat).mean(0))
    matrix = (flat.T @ flat) / len(flat) / np.maximum(np.outer(power, power), 1e-300)
    return float(np.sqrt(np.square(matrix[~np.eye(channels, dtype=bool)]).mean()))
