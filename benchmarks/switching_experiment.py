"""The article's experiment on switched convolutions, row by row and seed by seed, into a table.

  python benchmarks/switching_experiment.py --source folder:/path/to/photos --runs runs/experiment

Stage 1 trains a dense VQ-VAE for each seed; every row then starts from it with the same batches,
as by `python -m sr_jax.main --config configs/vqvae_experiment.py`. Rows that start from scratch
say so. Runs that are complete are not run again, so the same command resumes where it stopped;
--rows names the rows to run, --table only gathers what is there. Beside the runs come `table.md`,
`table.json` and `figure.png`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import dots  # noqa: E402
from benchmarks.experiments import complete, records, spread, train_once  # noqa: E402
from benchmarks.switching_rows import CONTROL, ROWS, STAGE_1, WIDE, WIDENED, Row  # noqa: E402

CONFIG = 'configs/vqvae_experiment.py'


def main() -> int:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--source', required=True, help='images, such as folder:/path/to/photos')
    parser.add_argument('--runs', type=Path, default=Path('runs/experiment'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--rows', nargs='*', default=list(ROWS), choices=list(ROWS))
    parser.add_argument('--table', action='store_true', help='run nothing')
    arguments = parser.parse_args()
    if not arguments.table:
        for seed in arguments.seeds:
            for name in (STAGE_1, *arguments.rows):
                run(name, seed, arguments.source, arguments.runs)
    table = gather(arguments.runs, arguments.seeds)
    (arguments.runs / 'table.json').write_text(json.dumps(table, indent=2) + '\n')
    text = markdown(table)
    (arguments.runs / 'table.md').write_text(text)
    print(text)
    dots.draw(
        points(table),
        'validation loss over that of its dense control',
        arguments.runs / 'figure.png',
    )
    return 0


def run(name: str, seed: int, source: str, runs: Path) -> None:
    """Trains one row with one seed, unless it has been done; raises SystemExit."""
    row = ROWS.get(name, Row('stage 1', 'dense', start=''))
    workdir = runs / f'{name}_{seed}'
    changes = {'seed': seed, 'data.source': source, **row.changes}
    if row.start:
        changes['train.start_from'] = str(runs / f'{row.start}_{seed}')
    if row.start == WIDENED and not complete(workdir):
        widened(runs / f'{STAGE_1}_{seed}', runs / f'{WIDENED}_{seed}', seed)
    train_once(f'{CONFIG}:{row.variant}', changes, workdir)


def widened(source: Path, target: Path, seed: int) -> None:
    """Writes the run of a dense network as a wider one with the same output, at step 0."""
    import jax

    from sr_jax import models, tasks
    from sr_jax.checkpoints.manager import Checkpoints
    from sr_jax.checkpoints.run import load_run, resume_or_init
    from sr_jax.config.binding import bind
    from sr_jax.config.settings import CheckpointSettings
    from sr_jax.devices import sharding
    from sr_jax.layers.widening import widen

    mesh = sharding.make_mesh()
    old = load_run(source, mesh=mesh)
    config = old.config.copy_and_resolve_references().unlock()
    narrow = models.make(config.model)
    config.update_from_flattened_dict(WIDE)
    config.lock()
    task, wide = tasks.make(config), models.make(config.model)
    kept = bind(CheckpointSettings, config.checkpoint, 'config.checkpoint')
    checkpoints = Checkpoints(target, kept)
    if checkpoints.steps():
        checkpoints.close()
        return
    tree, step, _ = resume_or_init(checkpoints, config, task, mesh, print)
    variables = dict(old.variables)
    params = variables.pop('params')
    joined = wide.find_concatenations(narrow)
    params = widen(params, tree['state'].params, jax.random.key(seed), joined)
    tree['state'] = tree['state'].replace(params=params, variables=variables)
    checkpoints.save(step, tree, config=config, data=None, metrics=None)
    checkpoints.close()


def measured(workdir: Path) -> dict[str, Any] | None:
    """The numbers of a complete run, or None.

    'loss' as in training: the MSE of images in [-1, 1], which is 4 times that in [0, 1] (clipped
    images), and the commitment loss, each with its weight.
    """
    if not complete(workdir):
        return None
    config = json.loads((workdir / 'config.json').read_text())
    weights = config['loss']
    training, validation = records(workdir, 'train'), records(workdir, 'validation')

    def loss(record: dict[str, float]) -> float:
        reconstruction = weights['reconstruction_weight'] * 4 * record['mse']
        return reconstruction + weights['commitment_weight'] * record['commitment']

    last = validation[config['train']['steps']]
    return {
        'loss': loss(last),
        'mse': last['mse'],
        'commitment': last['commitment'],
        'curve': {step: loss(record) for step, record in validation.items()},
        'kernels': {k[8:]: v for k, v in last.items() if k.startswith('kernels/')},
        'training_loss': {step: record['loss'] for step, record in training.items()},
    }


def gather(runs: Path, seeds: list[int]) -> dict[str, Any]:
    """The numbers of all rows, by name and seed."""
    table: dict[str, Any] = {}
    for name in (STAGE_1, *ROWS):
        found = {seed: measured(runs / f'{name}_{seed}') for seed in seeds}
        done = {seed: numbers for seed, numbers in found.items() if numbers}
        title = ROWS[name].title if name in ROWS else 'stage 1'
        table[name] = {'title': title, 'seeds': done}
    return table


def markdown(table: dict[str, Any]) -> str:
    """The table: mean and standard deviation over the seeds, of the losses and of their ratios to
    the control's with the same seed; kernels in use (the perplexity of the choices) from the layer
    and run with the least to those with the most."""
    lines = [
        '| row | seeds | loss, 1e-3 | to its control | MSE, 1e-3 | commitment, 1e-3 '
        '| kernels in use |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, row in table.items():
        seeds = row['seeds']
        if not seeds:
            lines.append(f'| {row["title"]} | not run | | | | | |')
            continue
        found = ratios(table, name)
        used = [min(v['kernels'].values()) for v in seeds.values() if v['kernels']]
        most = [max(v['kernels'].values()) for v in seeds.values() if v['kernels']]
        cells = [
            row['title'],
            str(len(seeds)),
            spread([1e3 * v['loss'] for v in seeds.values()]),
            spread(found, 3) if found else '',
            spread([1e3 * v['mse'] for v in seeds.values()]),
            spread([1e3 * v['commitment'] for v in seeds.values()]),
            f'{min(used):.1f} to {max(most):.1f}' if used else '',
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def ratios(table: dict[str, Any], name: str) -> list[float]:
    """The losses of a row over those of its control with the same seeds."""
    seeds = table[name]['seeds']
    control = table[ROWS[name].control if name in ROWS else CONTROL]['seeds']
    return [seeds[s]['loss'] / control[s]['loss'] for s in seeds if s in control]


def points(table: dict[str, Any]) -> dict[str, list[float]]:
    """Each run's loss over that of its row's control with the same seed, by the row's title."""
    compared = {name: row for name, row in ROWS.items() if row.control != name}
    return {row.title: ratios(table, name) for name, row in compared.items()}


if __name__ == '__main__':
    sys.exit(main())
