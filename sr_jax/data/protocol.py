"""What every source of images is."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Num


@runtime_checkable
class Source(Protocol):
    """A random-access sequence of images."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What messages call the image."""

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """The image in its own precision; raises `image_io.ImageError` when it is broken."""

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """The image as float32 in [0, 1]."""
