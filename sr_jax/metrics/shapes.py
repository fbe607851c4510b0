"""What metrics are given, looked at: an axis too many would be cropped or averaged in silence."""

import numpy as np
from jaxtyping import Shaped

from sr_jax.errors import InputError


def check_image(*images: Shaped[np.ndarray, '...']) -> None:
    """Raises InputError unless each array is one RGB image [height, width, 3]."""
    for image in images:
        if len(image.shape) != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise InputError(
                f'an array of shape {tuple(image.shape)} is no RGB image [height, width, 3]: '
                'measure images one at a time, channels last, grey ones with three equal channels'
            )


def check_images(*arrays: Shaped[np.ndarray, '...']) -> None:
    """Raises InputError unless each array is some RGB images [number, height, width, 3]."""
    for images in arrays:
        if len(images.shape) != 4 or images.shape[3] != 3 or 0 in images.shape:
            raise InputError(
                f'an array of shape {tuple(images.shape)} holds no RGB images or frames [number, '
                'height, width, 3]: stack them, channels last, grey ones with three equal channels'
            )
