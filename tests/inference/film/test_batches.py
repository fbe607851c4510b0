"""Pieces of films: every frame once, and the same whichever were read before."""

from fractions import Fraction

import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.film.reader import open_film
from sr_jax.film.tape.chain import Findings, TapeSettings
from sr_jax.inference.film import batches as film_batches
from sr_jax.inference.film.batches import Batch, Begin, End, read_batches
from sr_jax.inference.film.frames import Tape
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.film.plan import make_plan

PIECE = Fraction(1, 20)


def plan_of(path, **options):
    return make_plan(path, FilmOptions(codec='ffv1', segment=PIECE, **options), 2)


def flatten(value):
    """A piece's events as what can be compared."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    return tuple(map(flatten, value)) if isinstance(value, (tuple, list)) else value


def pieces(plan, wanted, size=3):
    """The events of each piece, by its number."""
    found, number = {}, None
    for event in read_batches(plan, wanted, size):
        number = event.number if isinstance(event, Begin) else number
        found.setdefault(number, []).append((type(event), flatten(event)))
    return found


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('phone', {}),
        ('broadcast', {}),
        ('avi', {}),
        ('mpeg2_pal', {}),
        ('mpeg2_pal', dict(deinterlace='fields')),
        ('telecined', dict(deinterlace='telecine')),
    ],
)
def test_a_piece_is_the_same_whichever_were_read_before(name, options, film):
    check_pieces(plan_of(film(name), **options))


def test_so_are_the_frames_that_a_tape_is_known_by(film, monkeypatch):
    monkeypatch.setattr(film_batches, 'WARM_UP', 2 * PIECE)
    plan = plan_of(film('disc'))
    change = plan.change._replace(tape=Tape(TapeSettings(denoise=1.0), Findings()))
    check_pieces(plan._replace(change=change))
    check_pieces(plan_of(film('broadcast'))._replace(change=change))
    for used, frames in ((plan, 0), (plan._replace(change=change), 3)):
        begins = [e for e in read_batches(used, [0, 2], 3) if isinstance(e, Begin)]
        assert [len(begin.before) for begin in begins] == [0, frames]


def check_pieces(plan):
    """A piece is the same alone, after its neighbor, and after a gap."""
    assert plan.segments > 2
    in_one_go = pieces(plan, range(plan.segments))
    assert list(in_one_go) == list(range(plan.segments))
    for number in range(plan.segments):
        assert pieces(plan, [number]) == {number: in_one_go[number]}
    assert pieces(plan, [0, 2]) == {k: in_one_go[k] for k in (0, 2)}


@pytest.mark.parametrize('size', [1, 2, 5])
def test_every_frame_is_shown_once_at_its_time(size, film):
    plan = plan_of(film('phone'), deinterlace='off')
    shown, frames, batch = [], [], None
    for event in read_batches(plan, range(plan.segments), size):
        if isinstance(event, Batch):
            assert all(len(plane) == size for plane in event.planes)
            assert 1 <= event.new <= size
            shown += [(pts, duration) for pts, duration, _ in event.shown]
            frames += [event.planes[0][place] for _, _, place in event.shown]
        batch = event
    assert isinstance(batch, End)
    with open_film(film('phone')) as opened:
        given = list(opened)
    assert shown == [(frame.pts, frame.duration) for frame in given]
    for one, other in zip(frames, given, strict=True):
        np.testing.assert_array_equal(one, other.planes[0])


def test_frames_like_the_one_before_are_not_computed_again(film):
    strict, loose = (plan_of(film('odd'), same=levels) for levels in (0, 255))
    counts = []
    for plan in (strict, loose):
        plan = plan._replace(options=FilmOptions(**{**vars(plan.options), 'segment': Fraction(9)}))
        (_, *batches, end) = read_batches(plan, [0], 3)
        counts.append((end.note.computed, [shown.place for b in batches for shown in b.shown]))
    assert counts == [(4, [0, 1, 2, 0]), (1, [0, 0, 0, 0])]


def test_only_what_was_asked_for_is_read(film):
    with open_film(film('phone')) as opened:
        times = [frame.pts * frame.time_base for frame in opened]
    for options in (dict(start=times[3], end=times[6]), dict(preview=Fraction(1, 10))):
        plan = plan_of(film('phone'), **options)
        begin, end = plan.span
        shown = [
            pts * plan.video.time_base
            for event in read_batches(plan, range(plan.segments), 2)
            if isinstance(event, Batch)
            for pts, _, _ in event.shown
        ]
        assert shown == [time for time in times if begin <= time < end] != []
    with pytest.raises(InputError, match='nothing lies between'):
        plan_of(film('phone'), start=Fraction(9))


def test_pieces_end_with_the_film_however_late_is_asked_for(film):
    path = film('phone')
    assert plan_of(path, end=3e9).segments == plan_of(path).segments


def test_frames_that_no_film_has_are_refused(film):
    with pytest.raises(InputError, match='a film has at most 65536 along a side'):
        plan_of(film('phone'), outscale=7e8)
