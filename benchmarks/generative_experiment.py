"""StyleGAN2, dense and switched, and GLEAN against RRDBNet and ESRGAN, seed by seed, as tables.

  python benchmarks/generative_experiment.py style --source folder:/path/to/photos
  python benchmarks/generative_experiment.py glean --source folder:/path/to/photos

Every row is a run as by `python -m sr_jax.main`, small; the rows are those of `generative_rows.py`.
'glean' begins with the generators of 'style'. Runs that are complete are not run again, so the same
command resumes where it stopped. --rows names some of them, --times 10 makes all of them ten times
as long, --size 64 makes crops of another size (both in a folder of their own, by --runs), --table
only gathers what is there. The table is printed, and written as `<runs>/<table>.md`; beside that of
'glean' comes `glean.png`, of the last seed.
"""

import argparse
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

import jax

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import enlarged_crops  # noqa: E402
from benchmarks.experiments import complete, records, train_once  # noqa: E402
from benchmarks.generative_rows import Row, tables  # noqa: E402
from benchmarks.seeing_experiment import count_parameters  # noqa: E402


def main() -> int:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=['style', 'glean'], help='which table')
    parser.add_argument('--source', required=True, help='images, such as folder:/path/to/photos')
    parser.add_argument('--runs', type=Path, default=Path('runs/generative'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--rows', nargs='*', default=[], metavar='ROW')
    parser.add_argument('--times', type=int, default=1, metavar='N', help='as many steps')
    parser.add_argument('--size', type=int, default=32, metavar='PIXELS', help='side of crops')
    parser.add_argument('--table', action='store_true', help='run nothing')
    arguments = parser.parse_args()
    rows, runs = tables(arguments.size)[arguments.name], arguments.runs / 'runs'
    if not arguments.table:
        for seed in arguments.seeds:
            for name in arguments.rows or rows:
                row = rows[name]
                changed = changes(row, seed, arguments.source, runs, arguments.times)
                train_once(row.config, changed, runs / f'{name}_{seed}')
    jax.config.update('jax_compilation_cache_dir', str(arguments.runs.resolve() / 'compiled'))
    make = {'style': style_table, 'glean': glean_table}[arguments.name]
    text = make(rows, runs, arguments.seeds)
    (arguments.runs / f'{arguments.name}.md').write_text(text)
    print(text)
    return 0


def changes(row: Row, seed: int, source: str, runs: Path, times: int = 1) -> dict:
    """What differs from the config in a row, of so many times its steps."""
    found = {
        'seed': seed,
        'data.source': source,
        'data.validation_fraction': 0.2,
        'checkpoint.every': 10**6,
        'log.every': 25,
        'log.samples': 16,
        'log.samples_every': 10**6,
        'evaluation.batch_size': 32,
        **row.changes,
    }
    for key in ('train.steps', 'evaluation.every'):
        found[key] *= times
    sources = {}
    for part, start in row.start.items():
        begun, *network = start.split('#')
        sources[part] = '#'.join([str((runs / f'{begun}_{seed}').resolve()), *network])
    return found | ({'train.start_from': str(sources)} if sources else {})


def style_table(rows: dict[str, Row], runs: Path, seeds: list[int]) -> str:
    """The Fréchet distances, in the order of the seeds, and what the last step logged."""
    lines = [
        '| row | parameters | steps | Fréchet distance, by seed | mean | r1 | path length |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, row in rows.items():
        done = finished(runs, name, seeds)
        measured = [records(workdir, 'validation') for workdir in done]
        logged = [list(records(workdir, 'train').values())[-1] for workdir in done]
        for step in sorted({step for found in measured for step in found}):
            values = [found[step]['frechet'] for found in measured]
            cells = [row.title, f'{count_parameters(done[0]):,}', str(step), listed(values, 2)]
            last = step == max(measured[0])
            cells.append(f'{statistics.mean(values):.2f}')
            terms = [listed([x[key] for x in logged], 3) for key in ('r1', 'path_length')]
            cells += terms if last else ['', '']
            lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def glean_table(rows: dict[str, Row], runs: Path, seeds: list[int]) -> str:
    """PSNR, SSIM and LPIPS of the enlarged validation crops, with a sheet to look at."""
    lines = [
        '| row | parameters | PSNR, dB, by seed | mean | SSIM | LPIPS, by seed | mean |',
        '|---|---|---|---|---|---|---|',
    ]
    shown = {}
    for name, row in rows.items():
        done = finished(runs, name, seeds)
        if not done:
            continue
        measured = [enlarged_crops.measured(workdir) for workdir in done]
        psnr, ssim, lpips = ([x[key] for x in measured] for key in ('psnr', 'ssim', 'lpips'))
        cells = [row.title, f'{count_parameters(done[0]):,}', listed(psnr, 2)]
        cells += [f'{statistics.mean(psnr):.2f}', f'{statistics.mean(ssim):.3f}', listed(lpips, 3)]
        cells.append(f'{statistics.mean(lpips):.3f}')
        lines.append(f'| {" | ".join(cells)} |')
        shown[row.title] = done[-1]
    if shown:
        bicubic = enlarged_crops.bicubic_measures(next(iter(shown.values())))
        psnr, ssim, lpips = (bicubic[key] for key in ('psnr', 'ssim', 'lpips'))
        lines.insert(2, f'| bicubic enlargement | | | {psnr:.2f} | {ssim:.3f} | | {lpips:.3f} |')
        enlarged_crops.write_sheet(shown, runs.parent / 'glean.png')
    return '\n'.join(lines) + '\n'


def finished(runs: Path, name: str, seeds: Iterable[int]) -> list[Path]:
    """The runs of a row that are complete."""
    return [runs / f'{name}_{seed}' for seed in seeds if complete(runs / f'{name}_{seed}')]


def listed(values: Iterable[float], digits: int) -> str:
    """Numbers with commas between them."""
    return ', '.join(f'{value:.{digits}f}' for value in values)


if __name__ == '__main__':
    sys.exit(main())
