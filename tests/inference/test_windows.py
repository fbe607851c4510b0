"""The choice of a window without a network: tiles, halos and memory, and what is said of them."""

import math
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.inference.windows import Windows, make_demands

BYTES = 1000  # that a pixel takes


def make(tile=0, halo=None, exact=7, multiple=2, limit=10**9, fixed=0):
    module = types.SimpleNamespace(halo=exact, multiple=multiple, input_size=None)
    demands = make_demands(module, halo, tile, undivided=False, spatially=False, devices=1)
    return demands, Windows(demands, lambda window: fixed + BYTES * math.prod(window), limit, 'it')


@given(st.integers(1, 300), st.integers(0, 90), st.sampled_from([1, 2, 4, 5]), st.integers(1, 150))
def test_any_tile_works_from_the_smallest_one_on(tile, exact, multiple, blocks):
    demands, windows = make(tile, exact=exact, multiple=multiple)
    if tile < multiple:
        with pytest.raises(InputError, match=f'--tile {tile} is too small: take {multiple} or'):
            windows.choose([(multiple * blocks, 3)])
        return
    windows.choose([(multiple * blocks, 3)])
    assert 4 * demands.halo <= tile and max(windows.chosen) <= tile
    assert demands.halo in (exact, tile // 4 // multiple * multiple)
    is_cut = windows.chosen != windows.round_up((multiple * blocks, 3))
    noted = f'--halo {exact} is exact' in windows.describe()
    assert noted == (is_cut and demands.halo < exact)


@pytest.mark.parametrize(
    ('tile', 'halo', 'message', 'least'),
    [
        (1, None, 'it: --tile 1 is too small: take 2 or more', 2),
        (1, 7, 'it: --tile 1 is too small with --halo 7: take 18 or more', 18),
        (17, 7, 'it: --tile 17 is too small with --halo 7: take 18 or more, or --halo 6', 18),
        (3, 1, 'it: --tile 3 is too small with --halo 1: take 6 or more, or --halo 0', 6),
    ],
)
def test_a_tile_that_is_too_small_names_the_smallest(tile, halo, message, least):
    with pytest.raises(InputError) as caught:
        make(tile, halo)[1].choose([(40, 18)])
    assert str(caught.value).removesuffix(' or less') == message
    make(least, halo)[1].choose([(40, 18)])
    if 'or --halo' in message:
        make(tile, int(message.split('--halo ')[-1].split()[0]))[1].choose([(40, 18)])
    make(tile, halo, multiple=1)[1].choose([(1, 1)])  # nothing is cut


def test_a_halo_that_is_given_is_kept_whatever_the_tile():
    demands, _ = make(tile=64, halo=30, exact=90)
    assert demands.halo == 30
    assert make(exact=90)[0].halo == 90
    assert make(tile=361, exact=90)[0].halo == 90


@given(st.integers(1, 3000), st.integers(0, 20_000))
def test_what_the_memory_must_be_is_what_it_is_said_to_be(kibibytes, fixed):
    size, smallest = (60, 47), 18 * 18  # a halo of 7 is one of 8 where windows are of two
    _, windows = make(limit=1024 * kibibytes, fixed=fixed)
    needed = fixed + BYTES * smallest
    if needed <= 1024 * kibibytes:
        windows.choose([size])
        assert fixed + BYTES * math.prod(windows.chosen) <= 1024 * kibibytes
        return
    with pytest.raises(InputError) as caught:
        windows.choose([size])
    assert 'a window of 18x18 pixels, the smallest with a halo of 7' in str(caught.value)
    assert f'takes {needed / 2**20:.4g} MiB' in str(caught.value)
    assert f'{kibibytes / 1024:.4g} MiB may be taken: raise that (--memory)' in str(caught.value)


def test_running_out_of_memory_ends_with_the_smallest_window():
    _, windows = make()
    sides = []
    with pytest.raises(InputError, match='the smallest .* and the device has less left: compute'):
        for _ in range(20):
            windows.choose([(60, 47)])
            sides.append(windows.chosen)
            windows.halve()
    pixels = [math.prod(side) for side in sides]
    assert sides[-1] == (18, 18) and pixels == sorted(set(pixels), reverse=True)
