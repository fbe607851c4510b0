"""Which window images are cut into: as large as the memory allows, of the least work."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sr_jax.errors import InputError
from sr_jax.inference import tiles
from sr_jax.models.protocols import Enlarger, Gridded

Size = tuple[int, int]  # height, width

FIRST_PIXELS = 2**20  # of a window, before it is known how much memory one takes
TILE_PER_HALO = 4  # a tile's core has then half of its side, and a quarter of its pixels
WORTHWHILE = 1.5  # a window so many times as large is worth another compilation


class Demands(NamedTuple):
    """What a network asks of windows.

    Attributes:
      halo: pixels around a window's core.
      exact_halo: those with which the parts are exactly the whole; None: with no number of them,
        as the network looks at whole images.
      multiple: what sides must be multiples of.
      mirrored: what lacks to those is mirrored at an image's edge, not the edge repeated.
      max_side: of a window, in pixels; 0: as memory allows.
      at_once: windows computed at a time.
      undivided: each image is one window.
      divisible: it need not be.
      rows: of an undivided image, what the window's rows must be a multiple of.
      padded_freely: a window may be larger than the image in it.
    """

    halo: int
    exact_halo: int | None
    multiple: int
    mirrored: bool
    max_side: int
    at_once: int
    undivided: bool
    divisible: bool
    rows: int
    padded_freely: bool


def make_demands(
    module: Enlarger,
    halo: int | None,
    tile: int,
    undivided: bool,
    spatially: bool,
    devices: int,
) -> Demands:
    """What a network asks of windows.

    Args:
      module: the network.
      halo: pixels around a window's core; None: as many as the network looks at, and at most a
        quarter of the tile.
      tile: most pixels along a side of a window; 0: as memory allows.
      undivided: each image is one window.
      spatially: whose rows are divided over the devices.
      devices: how many there are.
    """
    grid = module.grid if isinstance(module, Gridded) else None
    multiple, exact = grid or module.multiple, module.halo
    if halo is None:
        share = tile // TILE_PER_HALO // multiple * multiple
        halo = (exact or 0) if not tile else share if exact is None else min(exact, share)
    return Demands(
        halo=halo,
        exact_halo=exact,
        multiple=multiple,
        mirrored=grid is not None,
        max_side=tile,
        at_once=1 if undivided else devices,
        undivided=undivided,
        divisible=not spatially and module.input_size is None,
        rows=multiple * devices if spatially else 1,
        padded_freely=exact is not None and grid is None,
    )


class Windows:
    """The choice of a window, and when to choose another.

    Args:
      demands: the network's.
      needed: the bytes of one device that the compiled function for a window takes.
      limit: those that may be taken.
      source: what messages call the network.
    """

    def __init__(
        self,
        demands: Demands,
        needed: Callable[[Size], int],
        limit: int,
        source: str,
    ):
        self.chosen: Size = (0, 0)
        self._demands = demands
        self._needed = needed
        self._limit = limit
        self._max_pixels = demands.max_side**2 or FIRST_PIXELS
        self._may_grow = not demands.max_side
        self._source = source
        self._longest: Size = (0, 0)  # sides of the images that the window was chosen for

    def choose(self, sizes: Iterable[Size]) -> bool:
        """Chooses a window for images of these sizes, if they can share one.

        Raises:
          InputError: even the smallest window takes too much memory, or more than the tile.
        """
        sizes = [self.round_up(size) for size in sizes]
        if not self._demands.padded_freely and len(set(sizes)) > 1:
            return False
        choose = self._choose_whole if self._demands.undivided else self._choose_best
        self.chosen = choose(sizes)
        self._longest = _find_longest(sizes)
        return True

    def describe(self) -> str:
        """The window at hand, and what it costs where its halo is not wide enough."""
        (height, width), demands = self.chosen, self._demands
        line = (
            f'windows of {width}x{height} pixels, halo {demands.halo}, {demands.at_once} at a '
            'time'
        )
        whole = all(have >= need for have, need in zip(self.chosen, self._longest, strict=True))
        exact = demands.exact_halo
        if whole or (exact is not None and demands.halo >= exact):
            return line
        if exact is None:
            return (
                f'{line}. The network looks at whole images, so the parts are not exactly what it '
                'would make of one at once; the larger they are, the less it shows'
            )
        return (
            f'{line}. The network looks {exact} pixels far, so at the seams the result may be a '
            f'little off; --halo {exact} is exact, in tiles from {self._find_least(exact)} on'
        )

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
          InputError: images are not divided, or this was the smallest one.
        """
        if self._demands.undivided or self.chosen == self._find_smallest(self._longest):
            raise self._make_error(self.chosen, self._needed(self.chosen))
        self._max_pixels, self._may_grow = math.prod(self.chosen) // 2, False
        self._longest = (0, 0)

    def _choose_whole(self, sizes: list[Size]) -> Size:
        """The window that holds each image whole, its rows divided over the devices if asked."""
        height, width = _find_longest(sizes)
        rows = self._demands.rows
        window = (-(-height // rows) * rows, width)
        if not self._demands.padded_freely and window[0] != height:
            raise InputError(
                f'{self._source}: this network sees where an image ends, so no rows can be added '
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
            if window == self._find_smallest(_find_longest(sizes)):
                raise self._make_error(window, needed)
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
        """The best window of at most so many pixels, or the smallest one; the bytes it takes."""
        demands, max_side = self._demands, self._demands.max_side
        asked = demands.halo, demands.multiple, demands.at_once, max_side
        try:
            window = tiles.best_window(sizes, self._max_pixels, *asked)
        except ValueError:
            window = self._find_smallest(_find_longest(sizes))
            if max_side and max(window) > max_side:
                raise self._make_tile_error() from None
        return window, self._needed(window)

    def _find_least(self, halo: int) -> int:
        """The shortest side of a window that has a core within a halo."""
        multiple = self._demands.multiple
        return 2 * -(-halo // multiple) * multiple + multiple

    def _find_smallest(self, longest: Size) -> Size:
        """The smallest window of images that have such sides."""
        least = self._find_least(self._demands.halo)
        return min(least, longest[0]), min(least, longest[1])

    def _make_tile_error(self) -> InputError:
        demands = self._demands
        tile, multiple = demands.max_side, demands.multiple
        most = (tile - multiple) // (2 * multiple) * multiple
        halo = f' with --halo {demands.halo}' if demands.halo else ''
        smaller = f', or --halo {most} or less' if demands.halo and most >= 0 else ''
        return InputError(
            f'{self._source}: --tile {tile} is too small{halo}: take '
            f'{self._find_least(demands.halo)} or more{smaller}'
        )

    def _make_error(self, window: Size, needed: int) -> InputError:
        demands = self._demands
        (height, width), halo = window, demands.halo
        if demands.undivided:
            what, remedies = f'an image of {width}x{height} pixels at once', 'take a smaller image'
            if demands.divisible and demands.exact_halo is None:
                remedies += ', or enlarge it in parts (--tile), not exactly the same'
            if demands.rows == 1:
                remedies += ', or split it over several devices (--shard-spatially)'
        else:
            what = f'a window of {width}x{height} pixels, the smallest with a halo of {halo},'
            remedies = 'or set a smaller halo (--halo, or --tile, which it then follows)'
        have = 'the device has less left: '
        if needed > self._limit:
            have = f'{self._limit / 2**20:.4g} MiB may be taken: raise that (--memory), '
        return InputError(
            f'{self._source}: {what} takes {needed / 2**20:.4g} MiB of memory, and {have}compute '
            f'in bfloat16 (--dtype), {remedies}'
        )


def _find_longest(sizes: list[Size]) -> Size:
    height, width = (max(side) for side in zip(*sizes, strict=True))
    return height, width
