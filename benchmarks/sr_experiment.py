"""The articles' experiments on super-resolution, row by row and seed by seed, into tables.

  python benchmarks/sr_experiment.py --source folder:/path/to/photos --runs runs/sr_experiment

Every row is a run as by `python -m sr_jax.main --config configs/sr_experiment.py`, with a few keys
changed; some start from another row's network with the same seed. Runs that are complete are not
run again, nor measured again, so the same command resumes where it stopped; --rows names the rows
to run, --table only gathers what is there. How networks are measured is in `sr_measures.py`.
Beside the runs come `tables.md` and `tables.json`, and `figure.png`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import dots, sr_measures, sr_tables  # noqa: E402
from benchmarks.experiments import train_once  # noqa: E402

CONFIG = 'configs/sr_experiment.py'
UPDATES = 250  # of each batch size in the comparison at equal updates
LARGEST = 64
STEPS = 3000
FURTHER = 300


class Row(NamedTuple):
    """A line of a table.

    Attributes:
      table: the one that it stands in.
      title: what it says there.
      variant: of the config.
      changes: of the config's keys.
      start: the row that it starts from.
      control: the row that it is compared with.
    """

    table: str
    title: str
    variant: str
    changes: dict[str, Any]
    start: str = ''
    control: str = ''


def batch(size: int, updates: int, control: str) -> Row:
    """A row of the first table."""
    changes = {'train.batch_size': size, 'train.steps': updates}
    title = f'batch {size}, {updates:,} updates, {size * updates:,} images'
    return Row('batch', title, 'batch', changes, control=control)


def network(title: str, variant: str, start: str = '', **changes: Any) -> Row:
    """A row of the second table: half of the updates where it starts from another row."""
    fields = {key.replace('__', '.'): value for key, value in changes.items()}
    steps = STEPS // 2 if start else STEPS
    return Row('network', title, variant, {'train.steps': steps} | fields, start, 'rrdb')


def further(title: str, start: str = 'gan', **loss: float) -> Row:
    """A row of the third table: a generator trained further against a discriminator."""
    changes = {'train.steps': FURTHER} | {f'loss.{key}.weight': w for key, w in loss.items()}
    return Row('translational', title, 'gan', changes, start, 'gan_on')


DENSE = {'model__switching__layers': ()}
SECOND = {'optimizer__learning_rate': 1e-3}
ROWS = {
    'rrdb': network('RRDBNet of 2 blocks, 34 layers', 'rrdb'),
    'dense_half': network(
        '5 dense layers, half of the updates', 'switched', **DENSE, train__steps=STEPS // 2
    ),
    'dense': network('5 dense layers', 'switched', 'dense_half', **DENSE, **SECOND),
    'switched': network('5 layers, switched half-way', 'switched', 'dense_half', **SECOND),
    'switched_low': network(
        '5 layers, switched half-way, then half the rate',
        'switched',
        'dense_half',
        optimizer__learning_rate=5e-4,
    ),
    'gan': further('discriminator, 300 updates', 'rrdb'),
    'gan_on': further('300 more (control)'),
    'gan_less': further('300 more, the discriminator at half its weight', adversarial=2.5e-3),
    'translational': further('300 more, translational loss of weight 1', translational=1.0),
    'translational_5': further('300 more, translational loss of weight 5', translational=5.0),
    'batch_8': batch(8, UPDATES, 'batch_8'),
    'batch_16': batch(16, UPDATES, 'batch_8'),
    'batch_64': batch(64, UPDATES, 'batch_8'),
    'batch_8_long': batch(8, UPDATES * LARGEST // 8, 'batch_8_long'),
    'batch_16_long': batch(16, UPDATES * LARGEST // 16, 'batch_8_long'),
}


def main() -> int:
    """Runs and measures what is missing and writes the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--source', required=True, help='images, such as folder:/path/to/photos')
    parser.add_argument('--runs', type=Path, default=Path('runs/sr_experiment'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--rows', nargs='*', default=list(ROWS), choices=list(ROWS))
    parser.add_argument('--table', action='store_true', help='run nothing')
    arguments = parser.parse_args()
    if not arguments.table:
        for seed in arguments.seeds:
            for name in arguments.rows:
                run(name, seed, arguments.source, arguments.runs)
                sr_measures.measured(arguments.runs / f'{name}_{seed}')
    table = sr_tables.gather(ROWS, arguments.runs, arguments.seeds)
    (arguments.runs / 'tables.json').write_text(json.dumps(table, indent=2) + '\n')
    reference = sr_measures.bicubic_measures(arguments.source)
    text = sr_tables.markdown(table, ROWS, reference) + '\n' + sr_tables.costs(ROWS, arguments.runs)
    (arguments.runs / 'tables.md').write_text(text)
    print(text)
    title = "VGG16's distance (conv5_3) over that of the control"
    dots.draw(sr_tables.points(table, ROWS), title, arguments.runs / 'figure.png')
    return 0


def run(name: str, seed: int, source: str, runs: Path) -> None:
    """Trains one row with one seed, unless it has been done; raises SystemExit."""
    row = ROWS[name]
    changes = {'seed': seed, 'data.source': source, **row.changes}
    if row.start:
        changes['train.start_from'] = str((runs / f'{row.start}_{seed}').resolve())
    train_once(f'{CONFIG}:{row.variant}', changes, runs / f'{name}_{seed}')


if __name__ == '__main__':
    sys.exit(main())
