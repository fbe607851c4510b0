"""Batches through the devices: their order, what is shown twice, and where the time goes."""

import threading

import numpy as np
import pytest

from sr_jax.inference.film import progress as film_progress
from sr_jax.inference.film import run as film_run
from sr_jax.inference.film.batches import Batch, Begin, End, Note, Shown
from sr_jax.inference.film.progress import Meter
from sr_jax.inference.film.run import Frame, enlarge_pieces

SIZE = 3


class Tripler:
    """Stands in for a network: frames become three times what they were."""

    batch = SIZE

    def __init__(self, fail_at=None):
        self.flying, self.most, self.begun, self.fail_at = 0, 0, [], fail_at

    def begin(self, before):
        self.begun.append(before)

    def start(self, planes):
        self.flying += 1
        self.most = max(self.most, self.flying)
        return planes

    def finish(self, made):
        self.flying -= 1
        if self.fail_at is not None and (made[0] == self.fail_at).any():
            raise ValueError('broken')
        return tuple(3 * plane for plane in made)


def batch(values, places, first):
    planes = None
    if values:
        padded = np.array([*values, *[values[-1]] * (SIZE - len(values))])
        planes = (padded[:, None, None] * np.ones((1, 2, 5), int),)
    return Batch(planes, len(values), [Shown(first + i, 1, p) for i, p in enumerate(places)])


PIECES = [
    Begin(0, ['before']),
    batch([1, 2], [0, 1, 1], 0),
    batch([], [-1, -1], 3),
    batch([4, 5, 6], [-1, 0, 1, 2], 5),
    End(0, Note(9, 5)),
    Begin(2, []),
    batch([7], [0], 9),
    End(2, Note(1, 1)),
]
VALUES = [3, 6, 6, 6, 6, 6, 12, 15, 18, 21]


@pytest.fixture
def pieces(monkeypatch):
    def read(plan, wanted, size, watch):
        yield from PIECES

    monkeypatch.setattr(film_run, 'read_batches', read)


def test_frames_come_in_order_and_again_where_nothing_changed(pieces):
    meter, enlarger = Meter(0, 10), Tripler()
    made = list(enlarge_pieces(None, enlarger, [0, 2], meter))
    frames = [event for event in made if isinstance(event, Frame)]
    assert [frame.pts for frame in frames] == list(range(10))
    assert [int(frame.planes[0][1, 3]) for frame in frames] == VALUES
    assert {frame.planes[0].shape for frame in frames} == {(2, 5)}
    others = [event for event in made if not isinstance(event, Frame)]
    assert others == [event for event in PIECES if not isinstance(event, Batch)]
    assert made.index(others[2]) == 11 and meter.done == 10
    assert enlarger.begun == [['before'], []] and enlarger.most == film_run.IN_FLIGHT


def test_what_goes_wrong_comes_after_the_frames_before_it(pieces):
    frames = []
    with pytest.raises(ValueError, match='broken'):
        for event in enlarge_pieces(None, Tripler(fail_at=5), [0, 2], Meter(0, 10)):
            frames.append(event)
    assert sum(isinstance(event, Frame) for event in frames) == 5


def test_an_end_before_the_end_leaves_no_thread(pieces):
    before = threading.active_count()
    events = enlarge_pieces(None, Tripler(), [0, 2], Meter(0, 10))
    assert isinstance([next(events) for _ in range(3)][2], Frame)
    events.close()
    assert threading.active_count() == before


def test_the_meter_says_where_the_time_goes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(film_progress.time, 'perf_counter', lambda: now[0])
    meter = Meter(30, 70)
    for watch, seconds in ((meter.decoding, 1), (meter.device_idle, 2), (meter.encoding, 7)):
        with watch():
            now[0] += seconds
    meter.done += 5
    assert meter.progress() == (35, 70, 0.5, 0.1, 0.8, 0.7)
    shares = 'decode 10% | device 80% | encode 70%'
    assert str(meter.progress()) == f'35 of 70 frames, 0.50 a second, {shares}, 0:01:10 left'
