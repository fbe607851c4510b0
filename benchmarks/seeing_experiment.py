"""Dense against switched convolutions in classifiers and segmenters, seed by seed, as a table.

  python benchmarks/seeing_experiment.py classify_18 --runs runs/seeing

Every row is a run of `python -m sr_jax.main`, on the embedded data; the tables are those of
`seeing_rows.py`. Runs that are complete are not run again, so the same command resumes where it
stopped; --table only gathers what is there. The table is printed, and written as
`<runs>/<table>.md`.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.seeing_rows import TABLES, Row, Table  # noqa: E402
from benchmarks.switching_experiment import complete, records  # noqa: E402


def main() -> int:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=list(TABLES), help='which table')
    parser.add_argument('--runs', type=Path, default=Path('runs/seeing'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--table', action='store_true', help='run nothing')
    arguments = parser.parse_args()
    table, runs = TABLES[arguments.name], arguments.runs / arguments.name
    if not arguments.table:
        for seed in arguments.seeds:
            for name in table.rows:
                run(table, name, seed, runs)
    text = markdown(table, runs, arguments.seeds)
    runs.with_suffix('.md').write_text(text)
    print(text)
    return 0


def run(table: Table, name: str, seed: int, runs: Path) -> None:
    """Trains one row with one seed, unless it has been done; raises CalledProcessError."""
    workdir = runs / f'{name}_{seed}'
    if not complete(workdir):
        train(table.config, changes(table, table.rows[name], seed, runs), workdir)
        print(name, seed, flush=True)


def train(config: str, changed: dict, workdir: Path) -> None:
    """Trains with a config, some keys of it changed; raises CalledProcessError.

    What is said lies beside the run, and what is compiled beside the experiment.
    """
    flags = [f'--config.{key}={value!s}' for key, value in changed.items()]
    command = [sys.executable, '-m', 'sr_jax.main', '--config', config, *flags]
    workdir.parent.mkdir(parents=True, exist_ok=True)
    compiled = workdir.parents[1].resolve() / 'compiled'
    with workdir.with_suffix('.log').open('w') as log:
        subprocess.run(
            [*command, '--workdir', str(workdir)],
            check=True,
            cwd=ROOT,
            env={'JAX_COMPILATION_CACHE_DIR': str(compiled)} | os.environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def changes(table: Table, row: Row, seed: int, runs: Path) -> dict:
    """What differs from the config in a row."""
    found = {'seed': seed, 'log.samples': 0, 'checkpoint.every': 10**6, 'log.every': 100}
    found |= table.common | row.changes
    if row.start:
        found['train.start_from'] = str((runs / f'{row.start}_{seed}').resolve())
    return found


def count_parameters(workdir: Path) -> int:
    """The parameters of a run, as it told them."""
    log = workdir.with_suffix('.log').read_text()
    words = next(line for line in log.splitlines() if ' parameters, ' in line).split()
    return int(words[words.index('parameters,') - 1].replace(',', ''))


def markdown(table: Table, runs: Path, seeds: list[int]) -> str:
    """The table: of each row the metric after the last step, seed by seed, and its mean."""
    lines = [
        f'| row | parameters | {table.metric}, by seed | mean | kernels told |',
        '|---|---|---|---|---|',
    ]
    for name, row in table.rows.items():
        done = [runs / f'{name}_{seed}' for seed in seeds if complete(runs / f'{name}_{seed}')]
        if not done:
            continue
        last = [list(records(workdir, 'validation').values())[-1] for workdir in done]
        values = [record[table.metric] for record in last]
        told = [v for record in last for k, v in record.items() if k.startswith('told/')]
        cells = [
            row.title,
            f'{count_parameters(done[0]):,}',
            ', '.join(f'{value:.4f}' for value in values),
            f'{statistics.mean(values):.4f}',
            f'{statistics.mean(told):.3f}' if told else '',
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    sys.exit(main())
