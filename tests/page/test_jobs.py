"""Jobs wait for each other, say how far they are, can be ended, and are not kept for ever."""

import threading
import time

import pytest

from sr_jax.errors import InputError
from sr_jax.page.jobs import Job, Jobs
from sr_jax.page.limits import Limits

ME, YOU = 'm' * 20, 'y' * 20


class Gated:
    """A job's work that goes on when it is told to."""

    def __init__(self):
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self, job):
        self.began.set()
        while not self.go.wait(0.005):
            job.show(1, 3, 'in the middle')
        return {'made': job.name}


@pytest.fixture
def jobs():
    made = Jobs(Limits(waiting=6, waiting_of_one=4, kept=3))
    yield made
    made.close()


def job(work, name='x', owner=ME):
    return Job(owner, 'images', name, work)


def settle(one):
    until = time.monotonic() + 10
    while not one.is_over:
        assert time.monotonic() < until
        time.sleep(0.002)


def test_one_at_a_time_in_their_order(jobs):
    works = [Gated(), Gated()]
    first, second = job(works[0], 'a'), job(works[1], 'b', YOU)
    jobs.submit([first])
    jobs.submit([second])
    assert works[0].began.wait(5)
    assert not works[1].began.wait(0.05)
    (told,) = jobs.tell(YOU, 'images')
    assert (told['state'], told['place']) == ('waiting', 1)
    assert jobs.tell(YOU, 'films') == []
    works[0].go.set()
    assert works[1].began.wait(5)
    works[1].go.set()
    settle(second)
    assert jobs.tell(ME, 'images')[0]['result'] == {'made': 'a'}


def test_ended_at_work_or_waiting_and_begun_again(jobs):
    works = [Gated(), Gated()]
    first, second = job(works[0]), job(works[1])
    jobs.submit([first, second])
    works[0].began.wait(5)
    jobs.cancel(second.id)
    jobs.cancel(first.id)
    settle(first)
    assert (first.state, second.state) == ('cancelled', 'cancelled')
    works[1].go.set()
    jobs.begin_again(second.id)
    settle(second)
    assert second.state == 'done'
    jobs.begin_again(second.id)  # what is done stays
    assert second.state == 'done'


def test_an_error_is_one_sentence_without_paths(jobs, capsys):
    def refuse(job):
        raise InputError('/srv/secret/x.png: no image')

    def break_down(job):
        raise ZeroDivisionError('oh')

    hiding = Jobs(Limits(), hide=lambda text: text.replace('/srv/secret/', ''))
    failed, broken = job(refuse), job(break_down, 'y.png')
    hiding.submit([failed, broken])
    settle(broken)
    hiding.close()
    assert (failed.state, failed.message) == ('failed', 'x.png: no image')
    assert broken.message == 'y.png: ZeroDivisionError: oh'
    assert capsys.readouterr().err.count('Traceback') == 1


def test_too_many_are_refused_all_together(jobs):
    blocking = Gated()
    jobs.submit([job(blocking)])
    blocking.began.wait(5)
    with pytest.raises(InputError, match='wait already'):
        jobs.submit([job(Gated()) for _ in range(4)])
    jobs.submit([job(Gated()) for _ in range(3)])
    jobs.submit([job(Gated(), owner=YOU) for _ in range(2)])
    with pytest.raises(InputError, match='6 jobs wait already'):
        jobs.submit([job(Gated(), owner=YOU)])
    assert len(jobs.tell(ME, 'images')) == 4


def test_the_oldest_that_are_over_are_forgotten():
    forgotten = []
    jobs = Jobs(Limits(kept=3), forgotten.append)
    made = [job(lambda job: {}, str(number)) for number in range(5)]
    for one in made:
        jobs.submit([one])
        settle(one)
    jobs.close()
    assert [one.name for one in forgotten] == ['0', '1']
    assert [told['name'] for told in jobs.tell(ME, 'images')] == ['4', '3', '2']


def test_closing_ends_what_is_at_work():
    jobs, work = Jobs(Limits()), Gated()
    first, second = job(work), job(Gated())
    jobs.submit([first, second])
    work.began.wait(5)
    jobs.close()
    assert (first.state, second.state) == ('cancelled', 'cancelled')
