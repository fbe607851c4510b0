"""What can be said of films: times, steps for tapes, and what does not go together."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.film.tape.chain import TapeSettings
from sr_jax.inference.film.options import FilmOptions, parse_tape, parse_time


@given(st.integers(0, 99), st.integers(0, 59), st.decimals(0, 59, places=3))
def test_times_are_read_as_people_write_them(hours, minutes, seconds):
    exact = 3600 * hours + 60 * minutes + Fraction(str(seconds))
    assert parse_time(f'{hours}:{minutes:02d}:{seconds}') == exact
    assert parse_time(f'{60 * hours + minutes}:{seconds}') == exact
    assert parse_time(f'{seconds}s') == parse_time(f' {seconds} ') == Fraction(str(seconds))


@pytest.mark.parametrize('text', ['', 'soon', '1:2:3:4', '-5', '1/0', '1:x'])
def test_what_is_no_time_is_said(text):
    with pytest.raises(InputError, match='is no time'):
        parse_time(text)


def test_steps_for_tapes_are_named():
    assert parse_tape('') == TapeSettings()
    chosen = TapeSettings(True, True, 'pal', 0.5, True)
    assert parse_tape('crop,chroma,pal,denoise=0.5,levels') == chosen
    assert parse_tape('denoise').denoise == 1
    for wrong in ('wash', 'crop=2', 'denoise=much'):
        with pytest.raises(InputError, match=f'--tape {wrong}'):
            parse_tape(wrong)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(outscale=0.0), '0.0 times'),
        (dict(same=-1.0), '--same -1.0'),
        (dict(segment=Fraction(0)), '--segment 0'),
        (dict(start=Fraction(3), end=Fraction(3)), 'earlier'),
        (dict(preview=Fraction(3), end=Fraction(3)), 'leave out'),
        (dict(same=2.0, tape=TapeSettings(denoise=1.0)), 'noise'),
        (dict(tags='none'), "tags 'none': take write or keep"),
        (dict(deinterlace='both'), "deinterlace 'both': take auto or off"),
        (dict(outscale='2'), "--outscale '2': it must be a finite number"),
        (dict(rate=float('nan')), '--rate nan: it must be a finite number'),
        (dict(start=-2.5), '--from -5/2: it must not be negative'),
        (dict(compare=1), 'compare 1: it must be True or False'),
        (dict(segment=1e-300), '--segment 0: it must be more than 0'),
        (dict(segment=0.005), '--segment 1/200: it must be at least 0.01 seconds'),
        (dict(rate=1e300), 'it must be from 1/1000 to 1000 frames a second'),
        (dict(rate=0.0005), '--rate 1/2000: it must be from 1/1000 to 1000'),
        (dict(start='x'), "--from 'x': write a number, 2.5 or 5/2"),
        (dict(rate='3/0'), "--rate '3/0': write a number"),
        (dict(end=[7]), r'--to \[7\]: it must be a finite number'),
        (dict(leave_out=3), 'leave_out 3: give numbers of streams'),
        (dict(leave_out=('2',)), 'leave_out .*: give numbers of streams'),
        (dict(preset=3), "preset 3: give an encoder's own name"),
        (dict(tape='crop'), "tape 'crop': give TapeSettings"),
    ],
)
def test_what_cannot_be_meant_is_said(options, message):
    with pytest.raises(InputError, match=message):
        FilmOptions(**options)


def test_seconds_are_kept_as_they_are_written():
    options = FilmOptions(start=0.1, end=3, segment=2.5, rate=Fraction(30000, 1001))
    exact = (Fraction(1, 10), Fraction(3), Fraction(5, 2), Fraction(30000, 1001))
    assert (options.start, options.end, options.segment, options.rate) == exact


def test_rates_of_many_digits_are_those_that_ffmpeg_has_numbers_for():
    assert FilmOptions(rate=29.97002997002997).rate == Fraction(30000, 1001)
    assert FilmOptions(rate='24000/1001').rate == Fraction(24000, 1001)
    assert FilmOptions(start=np.float32(0.1), segment=np.int64(3)).start == Fraction(1, 10)
    assert FilmOptions(leave_out=np.array([2, 5])).leave_out == (2, 5)
