"""RGB and YCbCr by ITU-R BT.601 as MATLAB's rgb2ycbcr has it (Y from 16/255 to 235/255)."""

import numpy as np
from jaxtyping import Float

# Rows R, G, B; columns Y, Cb, Cr; in steps of 1/255.
_FROM_RGB = np.array(
    [
        [65.481, -37.797, 112.0],
        [128.553, -74.203, -93.786],
        [24.966, 112.0, -18.214],
    ]
)
_OFFSET = np.array([16.0, 128.0, 128.0])


def rgb_to_ycbcr(image: Float[np.ndarray, '*size 3']) -> Float[np.ndarray, '*size 3']:
    """Converts RGB in [0, 1] to float64 Y, Cb, Cr in [0, 1]; nothing is rounded."""
    return (np.asarray(image, np.float64) @ _FROM_RGB + _OFFSET) / 255


def ycbcr_to_rgb(image: Float[np.ndarray, '*size 3']) -> Float[np.ndarray, '*size 3']:
    """Converts float Y, Cb, Cr in [0, 1] to float64 RGB: the inverse of `rgb_to_ycbcr`."""
    return (np.asarray(image, np.float64) * 255 - _OFFSET) @ np.linalg.inv(_FROM_RGB)
