"""Networks that see, with and without switched convolutions and pre-training, seed by seed.

  python benchmarks/seeing_experiment.py classify_18 --runs runs/seeing

Every row is a run as by `python -m sr_jax.main`, on the embedded data; the tables are those of
`seeing_rows.py`. Runs that are complete are not run again, so the same command resumes where it
stopped; --table only gathers what is there. The table is printed, and written as
`<runs>/<table>.md`.
"""

import argparse
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.experiments import complete, records, spread, train_once  # noqa: E402
from benchmarks.seeing_rows import TABLES, Row  # noqa: E402

EACH = {  # changes of every config: what is not needed here, and one validation at the end
    'log.samples': 0,
    'log.every': 100,
    'evaluation.every': 10**6,
    'checkpoint.every': 10**6,
    'checkpoint.keep_last': 1,
}


def main() -> int:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=list(TABLES), help='which table')
    parser.add_argument('--runs', type=Path, default=Path('runs/seeing'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--rows', nargs='*', help='only these, by their names in seeing_rows.py')
    parser.add_argument('--table', action='store_true', help='run nothing')
    arguments = parser.parse_args()
    rows, runs = TABLES[arguments.name], arguments.runs / arguments.name
    if unknown := set(arguments.rows or ()) - rows.keys():
        parser.error(f'{arguments.name} has no rows {sorted(unknown)}, but {list(rows)}')
    if not arguments.table:
        for seed in arguments.seeds:
            for name in arguments.rows or rows:
                changed = changes(rows[name], seed, runs)
                train_once(rows[name].kind.config, changed, runs / f'{name}_{seed}')
    text = markdown(rows, runs, arguments.seeds)
    runs.with_suffix('.md').write_text(text)
    print(text)
    return 0


def changes(row: Row, seed: int, runs: Path) -> dict:
    """What differs from the config in a row."""

    def folder(name: str) -> str:
        return str((runs / f'{name}_{seed}').resolve())

    found = {'seed': seed, **EACH, **row.kind.changes, **row.changes}
    if row.start:
        source = folder(row.start)
        found['train.start_from'] = str({row.part: source}) if row.part else source
    if row.latents:
        found['selectors.source'] = folder(row.latents)
    return found


def count_parameters(workdir: Path) -> int:
    """The parameters of a run, as it told them."""
    log = workdir.with_suffix('.log').read_text()
    words = next(line for line in log.splitlines() if ' parameters, ' in line).split()
    return int(words[words.index('parameters,') - 1].replace(',', ''))


def markdown(rows: dict[str, Row], runs: Path, seeds: list[int]) -> str:
    """The tables, one for each metric: of each row the metric after the last step, seed by seed,
    its mean and standard deviation, and those of what it has more than its control of the same
    seed; of switched layers how many kernels they use, from the least to the most, and how much of
    the classes the choices tell, the mean over the layers and seeds."""
    found = {name: {s: last(runs / f'{name}_{s}') for s in seeds} for name in rows}
    lines = []
    for metric in dict.fromkeys(row.kind.metric for row in rows.values()):
        done = [
            cells(row, runs / name, found[name], found.get(row.control, {}))
            for name, row in rows.items()
            if row.kind.metric == metric and any(found[name].values())
        ]
        if done:
            lines += [
                f'| row | parameters | {metric}, by seed | mean | more than its control '
                '| kernels in use | told |',
                '|---|---|---|---|---|---|---|',
                *(f'| {" | ".join(row)} |' for row in done),
                '',
            ]
    return '\n'.join(lines)


def cells(row: Row, runs: Path, found: dict[int, dict], control: dict[int, dict]) -> list[str]:
    """The cells of a row.

    Args:
      row: of which some runs are complete.
      runs: how the folders of its runs begin.
      found: what they measured, by seed.
      control: likewise those of its control.
    """
    metric = row.kind.metric
    done = {seed: record for seed, record in found.items() if record}
    values = {seed: record[metric] for seed, record in done.items()}
    more = [value - control[s][metric] for s, value in values.items() if control.get(s)]
    used, told = (
        [v for record in done.values() for k, v in record.items() if k.startswith(prefix)]
        for prefix in ('kernels/', 'told/')
    )
    return [
        row.title,
        f'{count_parameters(runs.with_name(f"{runs.name}_{min(done)}")):,}',
        ', '.join(f'{value:.3f}' for value in values.values()),
        spread(list(values.values()), 3),
        spread(more, 3) if more else '',
        f'{min(used):.1f} to {max(used):.1f}' if used else '',
        f'{statistics.mean(told):.3f}' if told else '',
    ]


def last(workdir: Path) -> dict[str, float]:
    """What a complete run measured after its last step; else nothing."""
    return list(records(workdir, 'validation').values())[-1] if complete(workdir) else {}


if __name__ == '__main__':
    sys.exit(main())
