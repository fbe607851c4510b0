"""Splits the network between two machines that train together, and mends it again.

  python benchmarks/split_network.py --times 10 --seed 0

The machines are network namespaces of Linux, each with a name and an address of its own, and a
cable between them; root may make them, with `ip` and `unshare`. At a random moment, saves included,
the cable is cut while both processes live. Both must end with a message that names the other; and
with the cable mended the run must resume from its newest checkpoint, with the losses that it had
before. Prints a row for RELIABILITY.md, and ends with status 1 if anything was lost.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.trainers import losses, saved_steps, start, tiny, wait_for_a_save  # noqa: E402

TIME_LIMIT = 300  # seconds of any one start
NAMES = ('srjax-a', 'srjax-b')
ADDRESSES = ('10.213.0.1', '10.213.0.2')


class Machines:
    """Two machines with a cable between them, for as long as the context lasts.

    Raises:
      RuntimeError: where this process may not make them.
    """

    def __enter__(self) -> Self:
        try:
            for name in NAMES:
                _ip('netns', 'add', name)
                folder = Path('/etc/netns') / name
                folder.mkdir(parents=True)
                hosts = [f'{a} {n}' for a, n in zip(ADDRESSES, NAMES, strict=True)]
                (folder / 'hosts').write_text('\n'.join(['127.0.0.1 localhost', *hosts, '']))
            first, second = NAMES
            ends = ('type', 'veth', 'peer', 'name', 'cable', 'netns', second)
            _ip('-n', first, 'link', 'add', 'cable', *ends)
            for name, address in zip(NAMES, ADDRESSES, strict=True):
                _ip('-n', name, 'address', 'add', f'{address}/24', 'dev', 'cable')
                _ip('-n', name, 'link', 'set', 'lo', 'up')
            self.cable('up')
        except (OSError, RuntimeError) as error:
            self.__exit__(None, None, None)
            raise RuntimeError(
                f'cannot make machines (this wants root and iproute2): {error}'
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in NAMES:
            subprocess.run(['ip', 'netns', 'delete', name], capture_output=True, check=False)
            shutil.rmtree(Path('/etc/netns') / name, ignore_errors=True)

    def cable(self, state: str) -> None:
        """Mends the cable ('up') or cuts it ('down')."""
        for name in NAMES:
            _ip('-n', name, 'link', 'set', 'cable', state)

    def start(self, workdir: Path, cache: Path, *flags: str) -> list[subprocess.Popen]:
        """Starts the run on both machines; process i writes `<workdir>.<i>.log` anew."""
        started = []
        for i, name in enumerate(NAMES):
            log = Path(f'{workdir}.{i}.log')
            log.unlink(missing_ok=True)
            on_it = f'hostname {name} && exec "$@"'
            within = ('ip', 'netns', 'exec', name, 'unshare', '--uts', 'sh', '-c', on_it, 'sh')
            meeting = (f'--coordinator={NAMES[0]}:12355', '--processes=2', f'--process={i}')
            started.append(start(workdir, cache, *meeting, *flags, log=log, within=within))
        return started


class Split(NamedTuple):
    """What became of one cut.

    Attributes:
      during_save: whether a checkpoint was half written then.
      seconds: until both had ended.
      problems: what was not as it should be.
    """

    during_save: bool
    seconds: float
    problems: tuple[str, ...]


def split(
    machines: Machines, workdir: Path, cache: Path, delay: float, silence: float = 10.0
) -> Split:
    """Trains on both machines, cuts the cable some time after the first save, and resumes."""
    flags = [*tiny(train__steps=10_000), f'--silence={silence}']
    processes = machines.start(workdir, cache, *flags)
    wait_for_a_save(workdir, processes)
    time.sleep(delay)
    machines.cable('down')
    began, problems = time.monotonic(), []
    for i, process in enumerate(processes):
        status, shown = process.wait(TIME_LIMIT), Path(f'{workdir}.{i}.log').read_text()
        lost = rf'error: process {1 - i} of 2 \({NAMES[1 - i]}, pid \d+\).* is lost'
        if status != 1 or not re.search(lost, shown):
            problems.append(f'process {i} ended with {status}: {shown[-500:]}')
    seconds = time.monotonic() - began
    half, reached = any(workdir.glob('checkpoints/*tmp*')), saved_steps(workdir)[-1]
    machines.cable('up')
    last = losses(workdir)[-1][0] + 2
    again = [*tiny(train__steps=last), f'--silence={silence}']
    ended = [p.wait(TIME_LIMIT) for p in machines.start(workdir, cache, *again)]
    if ended != [0, 0] or f'/{reached}\n' not in Path(f'{workdir}.0.log').read_text():
        problems.append(f'did not resume from {reached}: {ended}')
    return Split(half, seconds, tuple(problems))


def disagreements(workdirs: Sequence[Path]) -> list[str]:
    """Returns the steps that had two losses: in a run before and after its cut, or in two runs."""
    known: dict[int, float] = {}
    found = []
    for workdir in workdirs:
        for step, loss in losses(workdir):
            if known.setdefault(step, loss) != loss:
                found.append(
                    f'{workdir.name}: step {step} had a loss of {known[step]} and of {loss}'
                )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Cuts the network as often as the arguments say; returns 1 if anything was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--times', type=int, default=10)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args(argv)
    delays = np.random.default_rng(arguments.seed).uniform(0, 2, arguments.times)
    with tempfile.TemporaryDirectory() as name, Machines() as machines:
        folder = Path(name)
        workdirs = [folder / f'run{i}' for i in range(arguments.times)]
        splits = []
        for workdir, delay in zip(workdirs, delays, strict=True):
            splits.append(split(machines, workdir, folder / 'xla', delay))
            print(splits[-1], file=sys.stderr, flush=True)
        problems = [p for s in splits for p in s.problems] + disagreements(workdirs)
    halves, longest = sum(s.during_save for s in splits), max(s.seconds for s in splits)
    print(f'split: {len(splits)} times, {halves} amid a save, {longest:.1f} s at most; {problems}')
    return 1 if problems else 0


def _ip(*words: str) -> None:
    done = subprocess.run(['ip', *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'ip {" ".join(words)}: {done.stderr.strip()}')


if __name__ == '__main__':
    sys.exit(main())
