"""Recurrent networks trained with and without what TecoGAN adds, and networks for tapes, as tables.

  python benchmarks/video_experiment.py clips --source folder:/path/to/photos --runs runs/video
  python benchmarks/video_experiment.py judged --source folder:/path/to/photos --runs runs/video
  python benchmarks/video_experiment.py tape --source folder:/path/to/photos --runs runs/video

Every row is a run as by `python -m sr_jax.main --config benchmarks/video_rows.py`, and measured as
`video_measures.py` says. Runs that are complete are not run again, nor measured again, so the same
command resumes where it stopped; --table only gathers what is there. The table is printed, and
written as `<runs>/<table>.md`; of `tape` there is a film beside it that shows the last seed's
networks side by side.
"""

import argparse
import json
import sys
from pathlib import Path

import jax

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import video_film, video_measures  # noqa: E402
from benchmarks.experiments import spread, train_once  # noqa: E402
from benchmarks.video_rows import PUBLISHED, TABLES, Table, get_config  # noqa: E402

PLAIN = 'cubic enlargement'
COLUMNS = {  # of a kind of table: heading -> (number, factor, digits)
    'frames': {
        'PSNR, dB': ('psnr', 1, 2),
        'SSIM': ('ssim', 1, 4),
        'LPIPS': ('lpips', 1, 3),
        'tOF, pixels': ('t_of', 1, 3),
        'tLP, 1e-3': ('t_lp', 1e3, 2),
        'warping error, 1e-4': ('warping_error', 1e4, 2),
        'flicker, 1e-3': ('flicker', 1e3, 2),
    },
    'stills': {
        'PSNR, dB': ('still_psnr', 1, 2),
        'LPIPS': ('still_lpips', 1, 3),
        'flat error, 1/255': ('still_flat_error', 1, 3),
        'detail': ('still_detail', 1, 3),
    },
    'unrest of still films': {
        f'change since frame 2, 1e-4, frame {at + 1}': (f'unrest_{at}', 1, 3)
        for at in video_measures.REST
    },
    **{
        f'drift, {what}': {
            f'{title}, frame {at + 1}': (f'{what}_{key}_{at}', 1, digits)
            for title, key, digits in (('MSE, 1e-4', 'mse', 2), ('detail', 'detail', 3))
            for at in video_measures.LATE
        }
        for what in ('still', 'moving')
    },
}


def main() -> int:
    """Runs and measures what is missing, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=list(TABLES), help='which table')
    parser.add_argument('--source', required=True, help='images, such as folder:/path/to/photos')
    parser.add_argument('--runs', type=Path, default=Path('runs/video'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--rows', nargs='+', help='only these, by the names of video_rows.py')
    parser.add_argument('--table', action='store_true', help='run nothing')
    arguments = parser.parse_args()
    table, runs = TABLES[arguments.name], arguments.runs / arguments.name
    runs.mkdir(parents=True, exist_ok=True)
    jax.config.update('jax_compilation_cache_dir', str(arguments.runs.resolve() / 'compiled'))
    if not arguments.table:
        for seed in arguments.seeds:
            for name in arguments.rows or table.rows:
                run(table, name, seed, runs, arguments.source)
    compare(table, runs, arguments.source)
    text = markdown(table, runs, arguments.seeds)
    runs.with_suffix('.md').write_text(text)
    print(text)
    if table.kind == 'tape' and not arguments.table:
        video_film.write(runs, table, arguments.seeds[-1], arguments.source)
    return 0


def run(table: Table, name: str, seed: int, runs: Path, source: str) -> None:
    """Trains one row with one seed and measures it, unless that has been done; raises
    SystemExit."""
    workdir, row = runs / f'{name}_{seed}', table.rows[name]
    moves = get_config(name).task == 'video'
    changes = {'seed': seed, 'data.source': f'moving:{source}' if moves else source}
    if row.start:
        start = runs / f'{row.start}_{seed}'
        changes['train.start_from'] = str(start.resolve()) if start.exists() else row.start
    train_once(f'benchmarks/video_rows.py:{name}', changes, workdir)
    video_measures.measured(workdir, table.kind, source)


def compare(table: Table, runs: Path, source: str) -> None:
    """Measures what was not trained here, unless that has been done."""
    others = {PLAIN: lambda: video_measures.plain}
    if table.kind == 'tape':
        others[PUBLISHED] = lambda: video_measures.published(PUBLISHED)
    for name, make in others.items():
        path = runs / f'{name.replace(" ", "_")}.json'
        if not path.exists():
            numbers = video_measures.measures(make(), table.kind, source)
            path.write_text(json.dumps(numbers, indent=2) + '\n')


def gather(table: Table, runs: Path, seeds: list[int]) -> dict[str, list[dict[str, float]]]:
    """The numbers of all rows by their titles, one for each seed."""
    names = [PLAIN, *([PUBLISHED] if table.kind == 'tape' else [])]
    files = {name: [runs / f'{name.replace(" ", "_")}.json'] for name in names}
    for name, row in table.rows.items():
        files[row.title] = [runs / f'{name}_{seed}' / video_measures.FILE for seed in seeds]
    return {
        title: [json.loads(path.read_text()) for path in paths if path.exists()]
        for title, paths in files.items()
    }


def markdown(table: Table, runs: Path, seeds: list[int]) -> str:
    """The tables: means and standard deviations over the seeds."""
    rows = gather(table, runs, seeds)
    parts = []
    for heading, columns in COLUMNS.items():
        if heading != 'frames' and table.kind == 'tape':
            continue
        lines = [f'### {heading}', '', f'| row | seeds | {" | ".join(columns)} |']
        lines.append('|---' * (2 + len(columns)) + '|')
        for title, found in rows.items():
            if found:
                cells = [
                    spread([factor * numbers[key] for numbers in found], digits)
                    for key, factor, digits in columns.values()
                ]
                lines.append(f'| {title} | {len(found)} | {" | ".join(cells)} |')
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


if __name__ == '__main__':
    sys.exit(main())
