"""Probabilities of classes as bars, to be laid beside the images that they are of."""

import numpy as np
from jaxtyping import Float, Int

GREEN, RED, GRAY = (0.2, 0.65, 0.3), (0.8, 0.25, 0.2), (0.6, 0.6, 0.6)
MAX_CLASSES = 32  # that are drawn, from the first on


def draw(
    probabilities: Float[np.ndarray, 'n classes'],
    labels: Int[np.ndarray, ' n'],
    size: tuple[int, int],
) -> Float[np.ndarray, 'n h w 3']:
    """Draws a bar from the left for each class, one below the other, on white.

    The true class is green, one that is guessed in its place red, all others gray.

    Args:
      probabilities: of each class.
      labels: the true classes.
      size: height and width of a picture.
    """
    height, width = size
    count = min(probabilities.shape[1], MAX_CLASSES, height)
    guesses = probabilities.argmax(axis=1)
    row_class = np.arange(height) * count // height
    pictures = np.ones((len(labels), height, width, 3), np.float32)
    for picture, chances, guess, label in zip(
        pictures, probabilities, guesses, labels, strict=True
    ):
        colors = np.full((count, 3), GRAY, np.float32)
        for kind, color in ((guess, RED), (label, GREEN)):
            if kind < count:
                colors[kind] = color
        filled = np.arange(width) < np.ceil(chances[:count] * width)[row_class][:, None]
        picture[filled] = np.broadcast_to(colors[row_class][:, None], picture.shape)[filled]
    return pictures
