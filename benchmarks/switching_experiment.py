"""The article's experiment on switched convolutions, row by row and seed by seed, into a table.

  python benchmarks/switching_experiment.py --source folder:/path/to/photos --runs runs/experiment

Stage 1 trains a dense VQ-VAE for each seed; every row then goes on from it with the same batches,
through `python -m sr_jax.main --config configs/vqvae_experiment.py`. Rows that start from scratch
say so. Runs that are complete are not run again, so the same command goes on where it stopped;
--rows names the rows to run, --table only gathers what is there. Beside the runs come `table.md`,
`table.json` and, with matplotlib installed, `figure.png`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

CONFIG = 'configs/vqvae_experiment.py'
STAGE_1 = 'stage_1'
CONTROL = 'dense'
WIDE = {'channels': 86, 'res_channels': 43}  # 762,104 parameters; switched at breadth 8: 762,707
DECODER = ('decoder_top/conv', 'decoder_top/up_0/conv', 'decoder/conv', 'decoder/up_0/conv')
SWITCHING, OPTIMIZER = 'model.switching', 'optimizer'
COSINE = {f'{OPTIMIZER}.schedule': 'cosine'}
IN_DECODERS = {f'{SWITCHING}.layers': DECODER}
DROPOUT = {f'{SWITCHING}.dropout_rate': 0.4}
SCRATCH: dict[str, Any] = {}


class Row(NamedTuple):
    """A line of the table.

    Attributes:
      title: what it says there.
      variant: of the config.
      changes: of the config's keys.
      start: the row that it goes on from.
      control: the row that it is compared with.
    """

    title: str
    variant: str = 'switched'
    changes: dict[str, Any] = {}  # noqa: RUF012
    start: str = STAGE_1
    control: str = CONTROL


ROWS = {
    CONTROL: Row('(a) dense', 'dense', {'train.steps': 500}),
    'switched': Row('(b) switched: b 8, q 256, hard'),
    'wide': Row(
        '(c) dense, widened to as many parameters',
        'dense',
        {'train.steps': 500, **{f'model.{k}': v for k, v in WIDE.items()}},
        'wide_start',
    ),
    'dense_cosine': Row(
        'dense, rate falling to 0', 'dense', {'train.steps': 500, **COSINE}, control='dense_cosine'
    ),
    'switched_cosine': Row('switched, rate falling to 0', changes=COSINE, control='dense_cosine'),
    'decoder': Row('only the 4 of the decoders switched', changes=IN_DECODERS),
    'decoder_cosine': Row(
        'only the 4 of the decoders switched, rate falling to 0',
        changes=IN_DECODERS | COSINE,
        control='dense_cosine',
    ),
    'no_norm': Row('no switch norm', changes={f'{SWITCHING}.norm_size': 0}),
    'load_balancing': Row(
        'load-balancing loss (weight 0.01) instead of the norm',
        changes={f'{SWITCHING}.norm_size': 0, 'loss.load_balancing_weight': 0.01},
    ),
    'norm_16': Row('q 16', changes={f'{SWITCHING}.norm_size': 16}),
    'norm_64': Row('q 64', changes={f'{SWITCHING}.norm_size': 64}),
    'breadth_4': Row('b 4', changes={f'{SWITCHING}.breadth': 4}),
    'breadth_16': Row('b 16', changes={f'{SWITCHING}.breadth': 16}),
    'soft': Row('soft gate (as it was)', changes={f'{SWITCHING}.routing': 'soft'}),
    'dropped_zero': Row(
        'dropout 0.4, dropped kernels may win (as it was)',
        changes={**DROPOUT, f'{SWITCHING}.dropped': 'zero'},
    ),
    'dropped_excluded': Row(
        'dropout 0.4, dropped kernels excluded',
        changes={**DROPOUT, f'{SWITCHING}.dropped': 'excluded'},
    ),
    'scratch_published': Row(
        'from scratch, kernels 1/sqrt(b) too small (as it was)',
        changes={**SCRATCH, f'{SWITCHING}.start': 'published'},
        start='',
    ),
    'scratch_convolution': Row(
        "from scratch, each kernel as its own convolution's",
        changes={**SCRATCH, f'{SWITCHING}.start': 'convolution'},
        start='',
    ),
}


def main() -> int:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--source', required=True, help='pictures, such as folder:/path/to/photos')
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
    draw(table, arguments.runs / 'figure.png')
    return 0


def run(name: str, seed: int, source: str, runs: Path) -> None:
    """Trains one row with one seed, unless it has been done; raises CalledProcessError."""
    row = ROWS.get(name, Row('stage 1', 'dense', start=''))
    workdir = runs / f'{name}_{seed}'
    changes = {'seed': seed, 'data.source': source, **row.changes}
    if row.start:
        changes['train.start_from'] = str(runs / f'{row.start}_{seed}')
    if complete(workdir):
        return
    if row.start == 'wide_start':
        widened(runs / f'{STAGE_1}_{seed}', runs / f'wide_start_{seed}', seed)
    flags = [f'--config.{key}={value!s}' for key, value in changes.items()]
    command = [sys.executable, '-m', 'sr_jax.main', '--config', f'{CONFIG}:{row.variant}', *flags]
    cache = {'JAX_COMPILATION_CACHE_DIR': str(runs.resolve() / 'compiled')}
    began = time.time()
    workdir.parent.mkdir(parents=True, exist_ok=True)
    with (runs / f'{name}_{seed}.log').open('w') as log:
        subprocess.run(
            [*command, '--workdir', str(workdir)],
            check=True,
            cwd=ROOT,
            env=cache | os.environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    print(f'{name}, seed {seed}: {time.time() - began:.0f} s', flush=True)


def widened(source: Path, target: Path, seed: int) -> None:
    """Writes the run of a dense network as a wider one with the same output, at step 0."""
    import jax

    from sr_jax import checkpoint, models, sharding, tasks, trained
    from sr_jax.config import bind
    from sr_jax.layers.widening import widen

    mesh = sharding.make_mesh()
    old = trained.load(source, mesh=mesh)
    config = old.config.copy_and_resolve_references().unlock()
    narrow = models.make(config.model)
    config.model.update(WIDE)
    config.lock()
    task, wide = tasks.make(config), models.make(config.model)
    kept = bind(checkpoint.CheckpointSettings, config.checkpoint, 'config.checkpoint')
    checkpoints = checkpoint.Checkpoints(target, kept)
    if checkpoints.steps():
        checkpoints.close()
        return
    tree, step, _ = trained.resume_or_init(checkpoints, config, task, mesh, print)
    variables = dict(old.variables)
    params = variables.pop('params')
    joined = wide.concatenated(narrow)
    params = widen(params, tree['state'].params, jax.random.key(seed), joined)
    tree['state'] = tree['state'].replace(params=params, variables=variables)
    checkpoints.save(step, tree, config=config, data=None, metrics=None)
    checkpoints.close()


def records(workdir: Path, event: str) -> dict[int, dict[str, float]]:
    """The last record of an event by step, from a run's `metrics.jsonl`; empty without one."""
    path = workdir / 'metrics.jsonl'
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return {line['step']: line for line in lines if line['event'] == event}


def complete(workdir: Path) -> bool:
    """Whether a run has been validated after its last step."""
    if not (workdir / 'config.json').exists():
        return False
    steps = json.loads((workdir / 'config.json').read_text())['train']['steps']
    return steps in records(workdir, 'validation') and (workdir / 'checkpoints').exists()


def measured(workdir: Path) -> dict[str, Any] | None:
    """The numbers of a complete run, or None.

    'loss' as in training: the MSE of pictures in [-1, 1], which is 4 times that in [0, 1] (clipped
    pictures), and the commitment loss, each with its weight.
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
    early = [r['reconstruction'] for step, r in training.items() if step <= 100]
    return {
        'loss': loss(last),
        'mse': last['mse'],
        'commitment': last['commitment'],
        'curve': {step: loss(record) for step, record in validation.items()},
        'early_peak': max(early),
        'kernels': {k[8:]: v for k, v in last.items() if k.startswith('kernels/')},
        'training_loss': [training[step]['loss'] for step in sorted(training)[-10:]],
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
    """The table: mean and standard deviation over the seeds, and the ratio to the control."""
    lines = [
        '| row | seeds | loss, 1e-3 | to (a), by seed | MSE, 1e-3 | commitment, 1e-3 '
        '| worst early MSE, 1e-3 | kernels in use, least to most |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for name, row in table.items():
        control = table[ROWS[name].control if name in ROWS else CONTROL]['seeds']
        seeds = row['seeds']
        if not seeds:
            lines.append(f'| {row["title"]} | not run | | | | | | |')
            continue
        ratios = [seeds[s]['loss'] / control[s]['loss'] for s in seeds if s in control]
        used = [min(v['kernels'].values()) for v in seeds.values() if v['kernels']]
        most = [max(v['kernels'].values()) for v in seeds.values() if v['kernels']]
        cells = [
            row['title'],
            str(len(seeds)),
            spread([1e3 * v['loss'] for v in seeds.values()]),
            spread(ratios, 3) if ratios else '',
            spread([1e3 * v['mse'] for v in seeds.values()]),
            spread([1e3 * v['commitment'] for v in seeds.values()]),
            f'{1e3 * statistics.mean(v["early_peak"] for v in seeds.values()):.0f}',
            f'{min(used):.1f} to {max(most):.1f}' if used else '',
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def spread(values: list[float], digits: int = 2) -> str:
    """Mean and sample standard deviation in words."""
    mean = f'{statistics.mean(values):.{digits}f}'
    return mean if len(values) < 2 else f'{mean} ± {statistics.stdev(values):.{digits}f}'


def draw(table: dict[str, Any], path: Path) -> None:
    """A dot for each run: its loss over that of the control with the same seed."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    del pyplot, table, path


if __name__ == '__main__':
    sys.exit(main())
