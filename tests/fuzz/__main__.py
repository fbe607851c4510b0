"""Fuzzes for so many minutes: `make fuzz MINUTES=10`, which is, with tests/ on PYTHONPATH,
`python -m fuzz --minutes 10`."""

import argparse
import itertools
import logging
import resource
import tempfile
import time
from pathlib import Path

import hypothesis
import jax
from fuzz import targets
from fuzz.fuzzing import check
from hypothesis import HealthCheck

MOST = 12 * 2**30  # bytes of address space


def main() -> int:
    """Runs round after round of every target, each with other examples; stops at a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument('--only', help='the name of one target')
    parser.add_argument('--seed', type=int, default=0, help='of the first round')
    arguments = parser.parse_args()
    settings = hypothesis.settings(
        max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    logging.getLogger('absl').setLevel(logging.CRITICAL)  # as the commands have it
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))  # spare the machine what may be found
    with tempfile.TemporaryDirectory() as folder:
        tests = {
            target.__name__: settings(check(target, strategy, Path(folder)))
            for target, strategy in targets.strategies(Path(folder)).items()
            if arguments.only in (None, target.__name__)
        }
        end = time.monotonic() + 60 * arguments.minutes
        for number in itertools.count():
            rounds, which = divmod(number, len(tests))
            if time.monotonic() > end:
                break
            hypothesis.seed(arguments.seed + rounds)(list(tests.values())[which])()
            jax.clear_caches()  # what was traced of thousands of networks
    report(rounds)
    return 0


def report(rounds: int) -> None:
    """Prints what came of the examples."""
    print(f'{rounds} rounds, {targets.outcomes.total()} examples')
    for (target, outcome), count in sorted(targets.outcomes.items()):
        print(f'{target:20} {outcome:8} {count}')


if __name__ == '__main__':
    raise SystemExit(main())
