"""Iterators that run ahead: order, bounds, errors, and an end before the end."""

import threading

import pytest

from sr_jax.inference.film.ahead import ahead


def count_to(stop, seen, closed=None):
    try:
        for number in range(stop):
            seen.append((number, threading.current_thread()))
            yield number
    finally:
        if closed is not None:
            closed.append(threading.current_thread())


def test_all_items_come_in_order_from_one_other_thread():
    seen = []
    assert list(ahead(count_to(50, seen), 3)) == list(range(50))
    (thread,) = {thread for _, thread in seen}
    assert thread is not threading.current_thread() and not thread.is_alive()


def test_no_more_than_so_many_wait():
    seen, gate = [], threading.Event()

    def counted():
        for number in count_to(9, seen):
            if number == 4:
                gate.set()
            yield number

    items = ahead(counted(), 2)
    assert next(items) == 0
    # One is used, two wait, and one is about to.
    assert not gate.wait(0.05) and len(seen) <= 4
    assert list(items) == list(range(1, 9))


def test_an_error_comes_after_what_was_made_before():
    def broken():
        yield 1
        raise ValueError('broken')

    items = ahead(broken(), 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match='broken'):
        next(items)


@pytest.mark.parametrize('used', [1, 3])
def test_closing_closes_what_runs_behind_in_its_thread(used):
    seen, closed = [], []
    inner = ahead(count_to(1000, seen, closed), 2)

    def doubled():
        try:
            for number in inner:
                yield 2 * number
        finally:
            inner.close()

    items = ahead(doubled(), 2)
    assert [next(items) for _ in range(used)] == [2 * i for i in range(used)]
    items.close()
    assert closed == [seen[0][1]] and len(seen) < 20
    assert all(not thread.is_alive() for _, thread in seen)
