"""Windows and cores: that they cover an image, and that the window chosen is the cheapest."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sr_jax.inference import tiles

multiples = st.sampled_from([1, 2, 4])


@given(st.integers(1, 90), st.integers(1, 60), st.integers(0, 20), multiples)
def test_cores_cover_a_side_once_and_keep_the_halo(side, window, halo, multiple):
    side, window = side * multiple, window * multiple
    try:
        found = tiles.spans(side, window, halo, multiple)
    except ValueError:
        assert window < side and window - 2 * halo < 3 * multiple
        return
    bounds = [0, *(span.end for span in found)]
    assert bounds[-1] == side
    assert [span.core for span in found] == bounds[:-1]
    for span in found:
        assert span.start % multiple == span.core % multiple == 0
        assert span.start >= 0
        if window < side:
            assert span.start + window <= side
            assert span.start == 0 or span.core - span.start >= halo
            assert span.start + window == side or span.start + window - span.end >= halo


@given(st.integers(10, 200), st.integers(5, 80), st.integers(0, 10))
def test_no_fewer_windows_would_do(side, window, halo):
    assume(window > 2 * halo)
    found = tiles.spans(side, window, halo)
    reach = window if len(found) == 1 else window + (len(found) - 2) * (window - 2 * halo)
    assert len(found) == 1 or reach < side


def rounds(size, window, halo, at_once):
    count = len(list(tiles.tiles(size, window, halo)))
    return -(-count // at_once)


@settings(max_examples=40)  # all windows are tried
@given(
    st.lists(st.tuples(st.integers(8, 60), st.integers(8, 60)), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from([1, 3]),
)
def test_the_best_window_is_the_best_of_all(sizes, halo, at_once):
    max_pixels = 900
    found = tiles.best_window(sizes, max_pixels, halo, at_once=at_once)
    assert found[0] * found[1] <= max_pixels

    def work(window):
        return sum(rounds(size, window, halo, at_once) for size in sizes) * window[0] * window[1]

    longest = [max(side) for side in zip(*sizes, strict=True)]
    possible = itertools.product(*(range(2 * halo + 1, side + 1) for side in longest))
    best = min(work(window) for window in possible if window[0] * window[1] <= max_pixels)
    # Splits are even of one image; with several, another length may be a little better.
    assert work(found) <= best * (1.0 if len(sizes) == 1 else 1.2)


@settings(max_examples=50)
@given(
    st.tuples(st.integers(1, 9000), st.integers(1, 900)),
    st.integers(8, 1200),
    st.integers(0, 300),
    multiples,
)
def test_no_window_is_worse_than_the_tile_itself(size, tile, halo, multiple):
    size = tuple(-(-side // multiple) * multiple for side in size)
    tile = tile // multiple * multiple
    assume(tile >= 2 * -(-halo // multiple) * multiple + multiple)

    def work(window):
        down, across = (len(tiles.spans(size[i], window[i], halo, multiple)) for i in (0, 1))
        return down * across * window[0] * window[1]

    whole = tuple(min(tile, side) for side in size)
    for limit in (dict(max_side=tile), {}):
        found = tiles.best_window([size], tile**2, halo, multiple, **limit)
        assert found[0] * found[1] <= tile**2
        assert work(found) <= work(whole)


def test_a_side_can_be_limited():
    assert tiles.best_window([(20, 400)], 50**2, 5) == (20, 108)
    assert max(tiles.best_window([(20, 400)], 50**2, 5, max_side=50)) <= 50


def test_an_image_that_fits_is_not_cut():
    assert tiles.best_window([(30, 50)], 1500, 100) == (30, 50)
    assert list(tiles.tiles((30, 50), (30, 50), 100)) == [
        tiles.Tile(tiles.Span(0, 0, 30), tiles.Span(0, 0, 50))
    ]


def test_a_window_without_a_core_is_refused():
    with pytest.raises(ValueError, match='no window of 100 pixels'):
        tiles.best_window([(300, 300)], 100, 20)
    with pytest.raises(ValueError, match='no core'):
        tiles.spans(300, 40, 20)


def test_many_images_are_planned_at_once():
    rng = np.random.default_rng(0)
    sizes = [tuple(map(int, rng.integers(50, 3000, 2))) for _ in range(200)]
    height, width = tiles.best_window(sizes, 10**6, 32)
    assert height * width <= 10**6


SIDES, WINDOWS = st.integers(3, 40), st.integers(9, 30)


@given(SIDES, SIDES, WINDOWS, WINDOWS, st.integers(0, 4))
def test_cutting_and_placing_gives_the_image_back(height, width, down, across, halo):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    result = np.zeros((2 * height, 2 * width, 3), np.uint8)
    for part in tiles.tiles((height, width), (down, across), halo):
        piece = tiles.cut(pixels, part, (down, across))
        assert piece.shape == (down, across, 3)
        tiles.place(result, part, piece.repeat(2, axis=0).repeat(2, axis=1), 2, 'it')
    np.testing.assert_array_equal(result, pixels.repeat(2, axis=0).repeat(2, axis=1))
