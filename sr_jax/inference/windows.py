"""Which window images are cut into: as large as the memory allows, of the least work."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sr_jax.errors import InputError
from sr_jax.inference import tiles
from sr_jax.models.protocols import Enlarger

Size = tuple[int, int]  # height, width

FIRST_PIXELS = 2**20  # of a window, before it is known how much memory one takes
WORTHWHILE = 1.5  # a window so many times as large is worth another compilation


class Demands(NamedTuple):
    """What a network asks of windows.

    Attributes:
      halo: pixels around a window's core.
      multiple: what sides must be multiples of.
      at_once: windows computed at a time.
      undivided: each image is one window.
      rows: of an undivided image, what the window's rows must be a multiple of.
      padded_freely: a window may be larger than the image in it.
    """

    halo: int
    multiple: int
    at_once: int
    undivided: bool
    rows: int
    padded_freely: bool


def make_demands(
    module: Enlarger, halo: int | None, undivided: bool, spatially: bool, devices: int
) -> Demands:
    """What a network asks of windows.

    Args:
      module: the network.
      halo: pixels around a window's core; None: as many as the network looks at.
      undivided: each image is one window.
      spatially: whose rows are divided over the devices.
      devices: how many there are.
    """
    return Demands(
        halo=module.halo or 0 if halo is None else halo,
        multiple=module.multiple,
        at_once=1 if undivided else devices,
        undivided=undivided,
        rows=module.multiple * devices if spatially else 1,
        padded_freely=module.halo is not None,
    )


class Windows:
    """The choice of a window, and when to choose another.

    Args:
      demands: the network's.
      needed: the bytes of one device that the compiled function for a window takes.
      limit: those that there are.
      max_side: of a window, in pixels; 0: as memory allows.
      source: what messages call the network.
    """

    def __init__(
        self,
        demands: Demands,
        needed: Callable[[Size], int],
        limit: int,
        max_side: int,
        source: str,
    ):
        self.chosen: Size = (0, 0)
        self._demands = demands
        self._needed = needed
        self._limit = limit
        self._max_side = max_side
        self._max_pixels = max_side**2 or FIRST_PIXELS
        self._may_grow = not max_side
        self._source = source
        self._longest: Size = (0, 0)  # sides of the images that the window was chosen for

    def choose(self, sizes: Iterable[Size]) -> bool:
        """Chooses a window for images of these sizes, if they can share one.

        Raises:
          InputError: even the smallest window takes too much memory.
        """
        sizes = [self.round_up(size) for size in sizes]
        if not self._demands.padded_freely and len(set(sizes)) > 1:
            return False
        choose = self._choose_whole if self._demands.undivided else self._choose_best
        self.chosen = choose(sizes)
        self._longest = _find_longest(sizes)
        return True

    def serves(self, size: Size) -> bool:
        """Whether the window at hand can be used for an image."""
        if not self._demands.padded_freely:
            return self._longest == self.round_up(size)
        return all(have >= need for have, need in zip(self._longest, size, strict=True))

    def round_up(self, size: Size) -> Size:
        """Sides as the network takes them."""
        multiple = self._demands.multiple
        height, width = (-(-side // multiple) * multiple for side in size)
        return height, width

    def halve(self) -> None:
        """After the device ran out of memory: smaller windows from now on.

        Raises:
          InputError: images are not divided.
        """
        if self._demands.undivided:
            raise self._make_error(self.chosen, self._limit)
        self._max_pixels, self._may_grow = math.prod(self.chosen) // 2, False
        self._longest = (0, 0)

    def _choose_whole(self, sizes: list[Size]) -> Size:
        """The window that holds each image whole, its rows divided over the devices if asked."""
        height, width = _find_longest(sizes)
        rows = self._demands.rows
        window = (-(-height // rows) * rows, width)
        if not self._demands.padded_freely and window[0] != height:
            raise InputError(
                f'{self._source}: this network looks at the whole image, so no rows can be added '
                f'to {height} of them, which do not divide over {rows // self._demands.multiple} '
                'devices: take one device, or leave out --shard-spatially'
            )
        needed = self._needed(window)
        if needed > self._limit:
            raise self._make_error(window, needed)
        return window

    def _choose_best(self, sizes: list[Size]) -> Size:
        """The window of least work that fits into the memory."""
        window, needed = self._try(sizes)
        while needed > self._limit:
            self._max_pixels = int(0.9 * self._limit / needed * math.prod(window))
            window, needed = self._try(sizes)
        possible = int(0.8 * self._limit / needed * math.prod(window))
        wanted = math.prod(_find_longest(sizes))
        if self._may_grow and min(possible, wanted) > WORTHWHILE * self._max_pixels:
            before, self._max_pixels = self._max_pixels, possible
            larger, needed = self._try(sizes)
            if needed <= self._limit:
                return larger
            self._max_pixels = before
        return window

    def _try(self, sizes: list[Size]) -> tuple[Size, int]:
        """The best window of at most so many pixels, and the bytes that it takes."""
        halo, multiple, at_once, *_ = self._demands
        try:
            window = tiles.best_window(
                sizes, self._max_pixels, halo, multiple, at_once, self._max_side
            )
        except ValueError:
            raise self._make_error(None, self._limit) from None
        return window, self._needed(window)

    def _make_error(self, window: Size | None, needed: int) -> InputError:
        what = f'a window of {window[1]}x{window[0]} pixels' if window else 'the smallest window'
        return InputError(
            f'{self._source}: {what} does not fit into {self._limit / 2**20:.0f} MiB of memory '
            f'(wanted: {needed / 2**20:.0f}). Raise the memory limit, compute in bfloat16, split '
            'images over several devices (--shard-spatially), or set a smaller halo (now '
            f'{self._demands.halo})'
        )


def _find_longest(sizes: list[Size]) -> Size:
    height, width = (max(side) for side in zip(*sizes, strict=True))
    return height, width
