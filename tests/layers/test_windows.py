"""Windows, grids and how far layers of windows look, each against its definition."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.layers import windows
from sr_jax.layers.windows import SEPARATE, Look, find_reach

SIZE, WINDOW = (6, 12), (2, 3)
X = np.arange(2 * 6 * 12 * 5).reshape(2, *SIZE, 5)


def test_windows_hold_neighbors_and_come_back():
    cut = windows.split_windows(jnp.asarray(X), WINDOW)
    assert cut.shape == (2, 12, 6, 5)
    np.testing.assert_array_equal(cut[1, 6], X[1, 2:4, 6:9].reshape(6, 5))
    np.testing.assert_array_equal(windows.join_windows(cut, SIZE, WINDOW), X)


def test_grids_hold_pixels_of_all_parts_and_come_back():
    cut = windows.split_grids(jnp.asarray(X), WINDOW)
    np.testing.assert_array_equal(cut[1, 5], X[1, 1::3, 1::4].reshape(6, 5))
    np.testing.assert_array_equal(windows.join_grids(cut, SIZE, WINDOW), X)


def test_overlapping_windows_reach_over_their_edges():
    cut = windows.overlapping_windows(jnp.asarray(X), WINDOW, 1)
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    assert cut.shape == (2, 12, 4 * 5, 5)
    np.testing.assert_array_equal(cut[1, 11], padded[1, 4:8, 9:14].reshape(20, 5))


@pytest.mark.parametrize('window', [(2, 3), (4, 1)])
def test_a_row_of_the_table_for_each_relative_place(window):
    places = np.stack(np.divmod(np.arange(np.prod(window)), window[1]), axis=-1)
    offsets = windows.relative_offsets(window)
    for (i, j), row in np.ndenumerate(windows.relative_positions(window)):
        np.testing.assert_array_equal(offsets[row], places[i] - places[j])


def test_keys_of_four_pixels_have_the_places_of_these():
    positions, own = windows.permuted_positions(4), windows.relative_positions((2, 2))
    np.testing.assert_array_equal(positions[4 * 3 + 1], own[2])  # of row 3, column 1


def test_what_a_shift_brought_together_is_separated():
    names = windows.name_regions(SIZE, WINDOW, (1, 2))
    mask = windows.separate(names, names)
    turned = np.roll(np.arange(72).reshape(SIZE), (-1, -2), (0, 1))
    cut = windows.split_windows(jnp.asarray(turned)[None], WINDOW)[0]
    rows, columns = np.divmod(np.asarray(cut), 12)
    near = (np.abs(rows[:, :, None] - rows[:, None]) < 2) & (
        np.abs(columns[:, :, None] - columns[:, None]) < 3
    )
    np.testing.assert_array_equal(mask, np.where(near, 0, SEPARATE))


def test_sides_are_mirrored_or_zeros_up_to_multiples():
    x = jnp.asarray(X[:, :5, :7])
    padded = windows.pad_to_multiple(x, 4)
    assert padded.shape == (2, 8, 8, 5)
    np.testing.assert_array_equal(padded[:, 5:, 7], x[:, 3:0:-1, 5])
    assert not windows.pad_to_multiple(x, 4, 'constant', least=9)[:, 5:].any()
    assert windows.pad_to_multiple(x, 4, 'constant', least=9).shape == (2, 12, 12, 5)
    assert windows.pad_to_multiple(x, 1) is x


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 4, 6]), st.booleans()), max_size=4)
)
def test_how_far_layers_look(layers):
    looks = [Look(r, w, w // 2 if shifted else 0) for r, w, shifted in layers]
    length = 132
    seen = np.eye(length, dtype=np.float32)  # [output, input], of the layers so far
    places = np.arange(length)
    for radius, window, offset in looks:
        names = (places + offset) // window
        together = names[:, None] == names[None, :]
        near = np.abs(places[:, None] - places[None, :]) <= radius
        step = together.astype(np.float32) @ near.astype(np.float32) > 0
        seen = (step.astype(np.float32) @ seen > 0).astype(np.float32)
    reach = max(np.abs(np.flatnonzero(seen[i]) - i).max() for i in range(60, 72))
    assert find_reach(looks) == reach


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match='7 channels do not split into 3 attention heads'):
        windows.check_heads(7, 3)
