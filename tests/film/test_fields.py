"""Fields: what flags say, what is seen, and frames made of them."""

from fractions import Fraction

import av
import films
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.film.fields import Deinterlacing
from sr_jax.film.reader import open_film
from sr_jax.film.survey import decide, survey


@pytest.mark.parametrize(
    ('name', 'stream', 'flagged', 'verdict', 'agree'),
    [
        ('mpeg2_pal', 'top first', 'top first', 'top first', True),
        ('disc', 'bottom first', 'bottom first', 'bottom first', True),
        ('liar', 'top first', 'top first', 'bottom first', False),
        ('telecined', 'unknown', 'progressive', 'telecined', False),
        ('phone', 'progressive', 'progressive', 'progressive', True),
    ],
)
def test_fields_are_told_by_flags_and_by_looking(name, stream, flagged, verdict, agree, film):
    found = survey(film(name))
    assert found.stream == stream
    assert set(found.flagged) == {flagged}
    assert found.verdict == verdict
    assert found.flags_agree == agree


@pytest.mark.parametrize(('name', 'top_first'), [('mpeg2_pal', True), ('disc', False)])
def test_every_frame_says_which_field_is_first(name, top_first, film):
    with open_film(film(name)) as opened:
        assert {(f.interlaced, f.top_field_first) for f in opened} == {(True, top_first)}


def test_what_to_do_follows_from_what_was_found(film):
    lying, honest = survey(film('liar')), survey(film('mpeg2_pal'))
    assert decide('off', None) == decide('auto', survey(film('phone'))) == Deinterlacing()
    assert decide('auto', honest) == Deinterlacing('frames')
    assert decide('fields', lying) == Deinterlacing('fields', 'bff')
    assert decide('telecine', survey(film('telecined'))) == Deinterlacing('telecine', 'tff')
    mixed = honest._replace(
        flagged={'top first': 5, 'progressive': 5}, seen={'top first': 4, 'progressive': 5}
    )
    assert decide('auto', mixed) == Deinterlacing('frames', only_flagged=True)
    blocks = honest._replace(
        flagged={'progressive': 60},
        seen={'bottom first': 60},
        alone={'bottom first': 5, 'top first': 2, 'progressive': 9},
    )
    assert blocks.flags_agree and decide('auto', blocks) == Deinterlacing()
    real = blocks._replace(alone={'bottom first': 9, 'top first': 1})
    assert decide('auto', real) == Deinterlacing('frames', 'bff')
    few = honest._replace(flagged={'progressive': 7})
    assert few.verdict == 'progressive'
    still = honest._replace(seen={})
    assert decide('auto', still) == Deinterlacing('frames')
    with pytest.raises(InputError, match='sometimes'):
        decide('sometimes', honest)


def sharpness(frames: list) -> float:
    """Returns how much the lines of frames differ from those two above: nothing is combed."""
    lumas = [frame.planes[0].astype(int) for frame in frames]
    return float(np.mean([np.abs(2 * y[1:-1] - y[:-2] - y[2:]).mean() for y in lumas]))


def test_one_frame_is_made_of_two_fields(film):
    with open_film(film('mpeg2_pal')) as combed, open_film(
        film('mpeg2_pal'), decide('auto', survey(film('mpeg2_pal')))
    ) as opened:
        before, after = list(combed), list(opened)
    assert [(f.pts, f.duration) for f in before] == [(f.pts, f.duration) for f in after]
    assert opened.time_base == Fraction(1, 90000)
    assert sharpness(after) < sharpness(before) / 4
    assert not any(frame.interlaced for frame in after)


def test_each_field_becomes_a_frame_at_half_the_time(film):
    with open_film(film('liar')) as opened:
        before = list(opened)
    right, wrong = Deinterlacing('fields', 'bff'), Deinterlacing('fields', 'tff')
    moved = {}
    for plan in (right, wrong):
        with open_film(film('liar'), plan) as opened:
            after = list(opened)
            assert opened.time_base == before[0].time_base / 2
        times = [time for f in before for time in (2 * f.pts, 2 * f.pts + f.duration)]
        assert [frame.pts for frame in after] == times
        assert {frame.duration for frame in after} == {before[0].duration}
        bars = [int(np.argmax(f.planes[0][20, :].astype(int))) for f in after]
        moved[plan] = np.diff(bars)
    assert np.mean(moved[right][2:-2] > 0) > np.mean(moved[wrong][2:-2] > 0)


def test_telecine_is_undone_exactly(film):
    plan = decide('telecine', survey(film('telecined')))
    with open_film(film('telecined'), plan) as opened:
        frames = list(opened)
        seconds = [frame.pts * frame.time_base for frame in frames]
        start = opened.info.video.start * opened.info.video.time_base
    assert seconds == [start + number * Fraction(1001, 24000) for number in range(16)]
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.planes[0], films.picture(50, 40, 5 * number))


def test_the_tick_of_telecined_film_holds_a_start_in_milliseconds():
    tick = Deinterlacing('telecine').time_base(Fraction(1, 1000), Fraction(30000, 1001))
    assert (Fraction(1, 1000) / tick).denominator == 1
    assert (Fraction(1001, 24000) / tick).denominator == 1


def test_the_wheel_has_the_filters():
    assert {'bwdif', 'idet', 'fieldmatch', 'decimate', 'select'} <= av.filter.filters_available
