"""Times of frames: what is said is kept, what is not is made up by the rule."""

import itertools
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.film.timestamps import Clock, DecodeTimes, with_durations

TICKS = st.one_of(st.none(), st.integers(-50, 500))


@settings(max_examples=30)
@given(st.lists(st.tuples(TICKS, TICKS)), st.fractions(Fraction(1, 3), 9), st.booleans())
def test_times_always_increase(said, step, decode_times):
    clock = Clock(step, decode_times)
    times = [clock.time(pts, dts) for pts, dts in said]
    assert all(before < after for before, after in itertools.pairwise(times))


@settings(max_examples=30)
@given(st.sets(st.integers(-50, 10**9), min_size=1), st.fractions(Fraction(1, 3), 9))
def test_times_that_increase_are_kept(times, step):
    clock = Clock(step)
    assert [clock.time(pts, None) for pts in sorted(times)] == sorted(times)
    assert clock.filled == 0


def test_a_fractional_rate_does_not_drift():
    clock = Clock(Fraction(7507, 2))
    times = [clock.time(None, None) for _ in range(4001)]
    assert times[::2] == [7507 * n for n in range(2001)]
    assert clock.filled == 4001


def test_decode_times_help_where_a_film_says_no_other():
    clock = Clock(Fraction(1), decode_times=True)
    said = [(1, 2), (4, 3), (3, 4), (5, 5), (2, 6), (7, None), (6, None)]
    assert [clock.time(pts, dts) for pts, dts in said] == [2, 3, 4, 5, 6, 7, 8]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 90), min_size=1), st.integers(-9, 9), st.integers(0, 5))
def test_frames_last_until_the_next(lengths, start, said):
    times = [start + sum(lengths[:place]) for place in range(len(lengths))]
    frames = [(str(time), time, said) for time in times]
    end = start + sum(lengths)
    exact = list(with_durations(frames, lambda _: end, Fraction(7)))
    assert exact == [(str(t), t, length) for t, length in zip(times, lengths, strict=True)]
    *others, last = with_durations(frames, lambda _: None, Fraction(7))
    assert others == exact[:-1]
    assert last[2] == (said or 7)


@settings(max_examples=30)
@given(st.data(), st.lists(st.integers(1, 90), min_size=1, max_size=40), st.integers(0, 4))
def test_decode_times_are_in_order_and_never_late(data, lengths, depth):
    times = [sum(lengths[:place]) for place in range(len(lengths))]
    shuffled: list[int] = []
    for begin in range(0, len(times), depth + 1):  # groups, as encoders reorder them
        shuffled += data.draw(st.permutations(times[begin : begin + depth + 1]))
    decode = list(DecodeTimes(shuffled))
    assert len(decode) == len(shuffled)
    assert all(before < after for before, after in itertools.pairwise(decode))
    assert all(dts <= pts for dts, pts in zip(decode, shuffled, strict=True))
    assert DecodeTimes(times).delay == 0
