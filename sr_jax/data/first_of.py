"""The first examples of a source, to see what a network learns of few."""

from typing import Any

from sr_jax.data.fields import Fields
from sr_jax.data.protocol import Source


class FirstOf:
    """So many examples of a source, from the first one on.

    Args:
      source: the examples.
      count: how many of them.
    """

    def __init__(self, source: Source, count: int):
        self._source, self._count = source, count

    @property
    def fields(self) -> Fields:
        """Of which kind each part of an example is, by key."""
        return self._source.fields

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """Returns what messages call the example."""
        return self._source.name(index)

    def example(self, index: int) -> dict[str, Any]:
        """Returns the example; raises `ImageError` when it is broken."""
        return self._source.example(index)
