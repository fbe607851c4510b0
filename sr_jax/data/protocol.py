"""What every source of data is."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Num

from sr_jax.data.fields import Fields


@runtime_checkable
class Source(Protocol):
    """A random-access sequence of examples.

    Attributes:
      fields: of which kind each part of an example is, by key.
    """

    @property
    def fields(self) -> Fields:
        """Of which kind each part of an example is, by key."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns what messages call the example."""

    def example(self, index: int) -> dict[str, Any]:
        """Returns the example, images in their own precision.

        Raises `ImageError` when it is broken.
        """


@runtime_checkable
class ClassifiedSource(Source, Protocol):
    """A source that knows the classes of its labels, masks or boxes.

    Attributes:
      classes: by the key of such a part of an example, their names in the order of their numbers.
    """

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """By the key of a part of an example, the names of its classes in their order."""


@runtime_checkable
class ImageSource(Source, Protocol):
    """A source whose examples are images, of pairs the true ones."""

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """Returns the image in its own precision; raises `ImageError` when it is broken."""

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """Returns the image as float32 in [0, 1]."""
