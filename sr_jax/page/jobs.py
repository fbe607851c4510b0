"""What takes long, one job after the other; who asked for it sees how far it is, and can end it."""

import secrets
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from sr_jax.errors import InputError, describe
from sr_jax.page.limits import Limits

WAITING, RUNNING, DONE = 'waiting', 'running', 'done'
FAILED, CANCELLED = 'failed', 'cancelled'
OVER = (DONE, FAILED, CANCELLED)


class Cancelled(Exception):
    """Raised in the middle of a job that is to end."""


class Job:
    """Something to do, and what became of it.

    Args:
      owner: who asked for it; a secret of one browser.
      tab: of the page.
      name: what a person calls it.
      work: does it: is given the job, says how far it is by `show`, and returns what `result` is.
      files: ids of the files that it needs.
      made: ids of those that it makes, which go when it is forgotten.

    Attributes:
      id: nobody guesses it; who knows it may cancel it.
      state: one of `OVER`, 'waiting' or 'running'.
      done, count: of its parts, once something is known.
      message: a sentence about how far it is, or about what went wrong.
      result: what the page shows of it; JSON.
      seconds: that it took, or has run.
    """

    def __init__(
        self,
        owner: str,
        tab: str,
        name: str,
        work: Callable[['Job'], dict[str, Any]],
        files: Sequence[str] = (),
        made: Sequence[str] = (),
    ):
        self.owner, self.tab, self.name, self._work = owner, tab, name, work
        self.id = secrets.token_urlsafe(18)
        self.files, self.made = tuple(files), tuple(made)
        self.state, self.message = WAITING, ''
        self.done, self.count = 0, 0
        self.result: dict[str, Any] = {}
        self._began = self._ended = 0.0
        self._stop = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in OVER

    @property
    def is_stopping(self) -> bool:
        """Whether it is to end."""
        return self._stop.is_set()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return (self._ended or time.monotonic()) - self._began if self._began else 0.0

    def show(self, done: int, count: int, message: str = '') -> None:
        """Says how far it is.

        Raises:
          Cancelled: it is to end.
        """
        self.done, self.count, self.message = done, count, message
        if self._stop.is_set():
            raise Cancelled

    def stop(self) -> None:
        """Ends it: at once if it waits, else when it next says how far it is."""
        self._stop.set()
        if self.state == WAITING:
            self.state = CANCELLED

    def begin_again(self) -> None:
        """Has it wait once more, after it was ended or failed."""
        self._stop.clear()
        self._began = self._ended = 0.0
        self.state, self.message, self.done, self.count = WAITING, '', 0, 0

    def run(self, hide: Callable[[str], str]) -> None:
        """Does it; whatever it raises is told in `message`.

        Args:
          hide: takes the paths of this machine out of a sentence.
        """
        self.state, self._began = RUNNING, time.monotonic()
        try:
            self.result = self._work(self)
            self.state, self.message = DONE, ''
        except Cancelled:
            self.state, self.message = CANCELLED, ''
        except Exception as error:  # whatever one job raises, the others are done
            if not isinstance(error, InputError):
                traceback.print_exc(file=sys.stderr)
            self.state, self.message = FAILED, hide(describe(error, self.name))
        finally:
            self._ended = time.monotonic()

    def as_json(self, place: int) -> dict[str, Any]:
        """What a browser is told; `place` is how many jobs come before it."""
        return dict(
            id=self.id,
            name=self.name,
            state='stopping' if self.is_stopping and not self.is_over else self.state,
            place=place,
            done=self.done,
            count=self.count,
            message=self.message,
            seconds=round(self.seconds, 1),
            result=self.result,
        )


class Jobs:
    """All jobs: those of one device wait for each other.

    Args:
      limits: how many are taken.
      forget: is given the jobs that are not kept any more.
      hide: takes the paths of this machine out of a sentence.
    """

    def __init__(
        self,
        limits: Limits,
        forget: Callable[[Job], None] = lambda job: None,
        hide: Callable[[str], str] = str,
    ):
        self._limits, self._forget, self._hide = limits, forget, hide
        self._all: OrderedDict[str, Job] = OrderedDict()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name='jobs', daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes jobs of one owner, all or none.

        Raises:
          InputError: too many wait already.
        """
        with self._change:
            waiting = [job for job in self._all.values() if not job.is_over]
            own = [job for job in waiting if job.owner == jobs[0].owner]
            if (
                len(waiting) + len(jobs) > self._limits.waiting
                or len(own) + len(jobs) > self._limits.waiting_of_one
            ):
                raise InputError(
                    f'{len(waiting)} jobs wait already: take these when some of them are done'
                )
            self._all.update((job.id, job) for job in jobs)
            self._change.notify_all()

    def cancel(self, key: str) -> None:
        """Ends a job, if there is one with this id."""
        with self._change:
            if (job := self._all.get(key)) and not job.is_over:
                job.stop()

    def begin_again(self, key: str) -> None:
        """Has a job that was ended or failed wait once more, behind all others."""
        with self._change:
            if (job := self._all.get(key)) and job.state in (CANCELLED, FAILED):
                job.begin_again()
                self._all.move_to_end(key)
                self._change.notify_all()

    def remove(self, key: str) -> None:
        """Forgets a job that is over."""
        with self._change:
            if (job := self._all.get(key)) and job.is_over:
                self._forget(self._all.pop(key))

    def tell(self, owner: str, tab: str) -> list[dict[str, Any]]:
        """What a browser is told of its jobs, the newest first."""
        with self._change:
            before, told = 0, []
            for job in self._all.values():
                if job.owner == owner and job.tab == tab:
                    told.append(job.as_json(before))
                before += not job.is_over
        return told[::-1]

    def find(self, owner: str, tab: str) -> list[Job]:
        """The jobs of one owner, the oldest first."""
        with self._change:
            return [job for job in self._all.values() if (job.owner, job.tab) == (owner, tab)]

    def uses(self, file: str) -> bool:
        """Whether a job that is not over needs a file."""
        with self._change:
            waiting = [job for job in self._all.values() if not job.is_over]
            return any(file in (*job.files, *job.made) for job in waiting)

    def close(self) -> None:
        """Ends all jobs, and waits for the one at work."""
        with self._change:
            self._closed = True
            for job in self._all.values():
                if not job.is_over:
                    job.stop()
            self._change.notify_all()
        self._thread.join()

    def _next(self) -> Job | None:
        return next((job for job in self._all.values() if job.state == WAITING), None)

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._next())
                job = self._next()
                if self._closed or job is None:
                    return
                job.state = RUNNING
            job.run(self._hide)
            with self._change:
                own = [other for other in self._all.values() if other.owner == job.owner]
                over = [other for other in own if other.is_over]
                for other in over[: max(len(over) - self._limits.kept, 0)]:
                    self._forget(self._all.pop(other.id))
