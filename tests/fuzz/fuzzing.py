"""One target and its examples as a test of Hypothesis, watched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.watch import watched
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

MIB = 2**20
PIXELS = MIB  # at most so many in an image, while it is fuzzed
MEMORY = 128 * MIB  # that an example may take, beyond what was taken before


class Example(NamedTuple):
    """What a target is given; shown in short, since it may be long."""

    value: Any

    def __repr__(self) -> str:
        shown = repr(self.value)
        return shown if len(shown) < 2000 else f'{shown[:2000]} ... ({len(shown)} characters)'


def check(target: Callable, strategy: st.SearchStrategy, folder: Path) -> Callable[[], None]:
    """The test that no example of the strategy makes the target do what it must not."""

    @given(strategy.map(Example))
    def test(example):
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, PIXELS
        try:
            with watched(folder, MEMORY):
                target(folder, example.value)
        finally:
            Image.MAX_IMAGE_PIXELS = limit

    return test
