"""Kills the trainer at random moments and shows that nothing is lost but the time since the save.

  python benchmarks/faults.py kill --signal SIGKILL --times 50 --seed 0
  python benchmarks/faults.py kill --signal SIGTERM --times 50 --seed 0
  python benchmarks/faults.py one-of-four --times 4 --seed 0
  python benchmarks/faults.py flip --times 100 --seed 0

kill: a run on the CPU is killed again and again, a fifth of the times in its start, the others at
a random moment of its steps and saves, and started again each time. It must resume from the newest
whole checkpoint, every loss must be bit for bit that of an unbroken run, and so must be all arrays,
the random key and the data's position at the end.
one-of-four: one of four processes gets SIGKILL; the others must end with a message that names it.
flip: a byte is changed anywhere in a checkpoint; it must be noticed, or be without effect.
Each prints a row for RELIABILITY.md, and ends with status 1 if anything was lost.
"""

import argparse
import logging
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.trainers import (  # noqa: E402
    contents,
    losses,
    same,
    saved_steps,
    start,
    start_together,
    tiny,
    wait_for_a_save,
)

TIME_LIMIT = 300  # seconds of any one start
RESUMES = re.compile(r'resuming from \S*/(\d+)')


class Outcome(NamedTuple):
    """What a number of trials came to.

    Attributes:
      tried: how many.
      during_saves: of those, with a checkpoint half written.
      before_saves: of those, before there was a checkpoint.
      redone: the most steps that had to be done again.
      seconds: the longest until the end of what was to end.
      problems: what was lost; empty when nothing was.
    """

    tried: int = 0
    during_saves: int = 0
    before_saves: int = 0
    redone: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


class Killing:
    """A run that is killed and started again until it has been killed often enough.

    Args:
      folder: for the runs, the compilations and the logs.
      number: of the signal.
      seed: of the moments.
      flags: of `tiny`.
    """

    def __init__(self, folder: Path, number: signal.Signals, seed: int, flags: Sequence[str]):
        self._folder, self._number, self._flags = folder, number, flags
        self._random = np.random.default_rng(seed)
        self._cache = folder / 'xla'
        self._outcome = Outcome()
        self._runs = 0
        self._unbroken()

    def _unbroken(self) -> None:
        """Trains once in one go (and once before, to compile), and measures how long it takes."""
        for name in ('compiling', 'unbroken'):
            workdir = self._folder / name
            began = time.monotonic()
            process = start(workdir, self._cache, *self._flags)
            while not losses(workdir) and process.poll() is None:
                time.sleep(0.02)
            self._start_up = time.monotonic() - began
            if process.wait(TIME_LIMIT):
                raise RuntimeError(Path(f'{workdir}.log').read_text()[-2000:])
            self._steps_take = time.monotonic() - began - self._start_up
        self._expected = dict(losses(workdir))
        self._last = max(self._expected)
        self._arrays = contents(workdir, self._last)

    def run(self, times: int) -> Outcome:
        """Kills so many times, finishes the last run, and returns what came of it."""
        workdir = self._new()
        while self._outcome.tried < times:
            if self._kill(workdir):
                workdir = self._new()
            print(f'{workdir.name}: {self._outcome}', file=sys.stderr, flush=True)
        while not self._finished(workdir):
            if start(workdir, self._cache, *self._flags).wait(TIME_LIMIT):
                self._problem(f'{workdir.name} does not resume')
                break
        return self._outcome

    def _new(self) -> Path:
        self._runs += 1
        return self._folder / f'run{self._runs}'

    def _kill(self, workdir: Path) -> bool:
        """Starts the run and kills it; returns whether it was finished before that."""
        before, logged = saved_steps(workdir), len(losses(workdir))
        early = self._random.random() < 0.2
        delay = self._random.uniform(0, self._start_up if early else 0.4 * self._steps_take)
        process = start(workdir, self._cache, *self._flags)
        while not early and len(losses(workdir)) == logged and process.poll() is None:
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(self._number)
        status = process.wait(TIME_LIMIT)
        self._check_start(workdir, before, logged)
        if status == 0:
            return self._finished(workdir)
        if status not in (-self._number, 128 + self._number):
            self._problem(f'{workdir.name} ended with {status}')
        self._count(workdir, 'SIGTERM: saving' in self._log(workdir))
        return False

    def _count(self, workdir: Path, saved: bool) -> None:
        done, steps = [step for step, _ in losses(workdir)], saved_steps(workdir)
        redone = (done[-1] if done else 0) - (steps[-1] if steps else 0)
        if redone > 0 and saved:
            self._problem(f'{workdir.name}: no checkpoint of step {done[-1]}, where it stopped')
        half = list(workdir.glob('checkpoints/*tmp*'))
        self._outcome = self._outcome._replace(
            tried=self._outcome.tried + 1,
            during_saves=self._outcome.during_saves + bool(half),
            before_saves=self._outcome.before_saves + (not steps),
            redone=max(self._outcome.redone, redone),
        )

    def _log(self, workdir: Path) -> str:
        """The output since the last start."""
        text = Path(f'{workdir}.log').read_text()
        return text[max(text.rfind('resuming from'), 0) :]

    def _check_start(self, workdir: Path, before: list[int], logged: int) -> None:
        """Looks whether the run went on from its newest checkpoint, and trained as it should."""
        new = losses(workdir)[logged:]
        went_on = RESUMES.findall(Path(f'{workdir}.log').read_text())
        if new and before and int(went_on[-1]) != before[-1]:
            self._problem(f'{workdir.name} went on from {went_on[-1]}, not from {before[-1]}')
        if new and new[0][0] != (before[-1] if before else 0) + 1:
            self._problem(f'{workdir.name} went on with step {new[0][0]} after {before[-1:]}')
        wrong = [step for step, loss in new if loss != self._expected[step]]
        if wrong:
            self._problem(f'{workdir.name}: another loss in step {wrong[0]}')
        if 'is damaged' in self._log(workdir):
            self._problem(f'{workdir.name}: a damaged checkpoint')

    def _finished(self, workdir: Path) -> bool:
        """Whether the run has come to its end; then everything must be as in the unbroken one."""
        if self._last not in saved_steps(workdir):
            return False
        if {step for step, _ in losses(workdir)} != set(self._expected):
            self._problem(f'{workdir.name}: not every step was logged')
        if not same(contents(workdir, self._last), self._arrays):
            self._problem(f'{workdir.name} ended with other arrays')
        return True

    def _problem(self, text: str) -> None:
        self._outcome = self._outcome._replace(problems=(*self._outcome.problems, text))


def one_of_four(folder: Path, times: int, seed: int, silence: float = 10.0) -> Outcome:
    """Kills one of four processes, a different one each time, and lets the run resume with four."""
    random = np.random.default_rng(seed)
    outcome, cache = Outcome(), folder / 'xla'
    for trial in range(times):
        victim, workdir = trial % 4, folder / f'four{trial}'
        flags = [*tiny(train__steps=10_000), f'--silence={silence}']
        processes = start_together(4, workdir, cache, *flags)
        wait_for_a_save(workdir, processes)
        time.sleep(random.uniform(0, 2))
        processes[victim].send_signal(signal.SIGKILL)
        began, problems = time.monotonic(), []
        for i, process in enumerate(processes):
            status = process.wait(TIME_LIMIT)
            shown = Path(f'{workdir}.{i}.log').read_text()
            if i == victim:
                continue
            named = re.search(rf'error: process {victim} of 4 \(\S+, pid \d+\).* is lost', shown)
            if status != 1 or not named:
                problems.append(f'trial {trial}: process {i} ended with {status}: {shown[-500:]}')
        seconds = time.monotonic() - began
        reached = saved_steps(workdir)[-1]
        again = [*tiny(train__steps=reached + 2), f'--silence={silence}']
        resumed = [p.wait(TIME_LIMIT) for p in start_together(4, workdir, cache, *again)]
        if resumed != [0] * 4 or f'/{reached}\n' not in Path(f'{workdir}.0.log').read_text():
            problems.append(f'trial {trial}: did not resume from {reached}: {resumed}')
        outcome = outcome._replace(
            tried=outcome.tried + 1,
            seconds=max(outcome.seconds, seconds),
            problems=(*outcome.problems, *problems),
        )
    return outcome


def flip(folder: Path, times: int, seed: int) -> tuple[Outcome, int]:
    """Changes one byte of a checkpoint, over and over; returns how often that was noticed, too."""
    from sr_jax.checkpoints.manager import DamagedCheckpoint

    random, workdir = np.random.default_rng(seed), folder / 'flipped'
    process = start(workdir, folder / 'xla', *tiny(train__steps=6))
    if process.wait(TIME_LIMIT):
        raise RuntimeError(Path(f'{workdir}.log').read_text()[-2000:])
    expected = contents(workdir, 6)
    files = sorted(p for p in (workdir / 'checkpoints' / '6').rglob('*') if p.stat().st_size)
    files = [p for p in files if p.is_file()]
    outcome, noticed = Outcome(), 0
    for trial in range(times):
        path = files[trial % len(files)]
        data = path.read_bytes()
        place = int(random.integers(len(data)))
        changed = bytes([data[place] ^ int(random.integers(1, 256))])
        path.write_bytes(data[:place] + changed + data[place + 1 :])
        problems = []
        try:
            if not same(contents(workdir, 6), expected):
                problems = [f'byte {place} of {path.name} went unnoticed']
        except DamagedCheckpoint:
            noticed += 1
        path.write_bytes(data)
        outcome = outcome._replace(tried=outcome.tried + 1, problems=(*outcome.problems, *problems))
    return outcome, noticed


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the trials that the arguments ask for; returns 1 if anything was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('fault', choices=('kill', 'one-of-four', 'flip'))
    parser.add_argument('--signal', choices=('SIGKILL', 'SIGTERM'), default='SIGKILL')
    parser.add_argument('--times', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args(argv)
    for log in ('absl', 'asyncio'):  # what matters of it comes as an exception
        logging.getLogger(log).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder, times, seed = Path(name), arguments.times, arguments.seed
        if arguments.fault == 'kill':
            number = signal.Signals[arguments.signal]
            outcome = Killing(folder, number, seed, tiny()).run(times)
            print(f'{number.name}: {outcome.tried} times', outcome._asdict())
        elif arguments.fault == 'one-of-four':
            outcome = one_of_four(folder, times, seed)
            print(f'one of four: {outcome.tried} times', outcome._asdict())
        else:
            outcome, noticed = flip(folder, times, seed)
            print(f'flip: {outcome.tried} times, noticed {noticed}', outcome._asdict())
    return 1 if outcome.problems else 0


if __name__ == '__main__':
    sys.exit(main())
