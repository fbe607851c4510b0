"""Times a whole command, from its start to the enlarged file: ours, and ncnn's Python.

  python benchmarks/command_to_file.py IMAGE --ncnn-python PATH [--before FOLDER] [--rounds 5]

PATH is an interpreter that has ncnn and Pillow, in which `command_to_file_ncnn.py` does the same.
FOLDER is another checkout of this repository, which is timed too. Rounds alternate between all, so
that whatever else the machine does falls on all. Ours is timed with a new folder of compiled
programs ('first'), with the one that the round's first run filled ('again'), the same with few
products, and in bfloat16. Python keeps what it compiles of modules, as it does unless it is told
not to.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sr_jax.pretrained import named

WEIGHTS = 'realesrgan-x4plus'
ROOT = Path(__file__).parents[1]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('image', type=Path)
    parser.add_argument('--ncnn-python', metavar='PATH', help='an interpreter that has ncnn')
    parser.add_argument('--before', metavar='FOLDER', type=Path, help='another checkout')
    parser.add_argument('--rounds', type=int, default=5)
    return parser.parse_args()


def seconds(command: list[str], folder: Path = ROOT, **environment: str) -> float:
    """Seconds that a process takes, whose code lies in a folder; CalledProcessError if it fails."""
    own = {'PYTHONPATH': str(folder), 'PYTHONDONTWRITEBYTECODE': ''}
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **own, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def programs(args: argparse.Namespace, folder: Path) -> dict[str, Callable[[], float]]:
    """What gives the seconds of each program, by its name; `folder` holds what they write."""
    image = str(args.image.resolve())
    upscale = [sys.executable, '-m', 'sr_jax', 'upscale', image, '--weights', WEIGHTS]
    upscale += ['--output', str(folder / 'ours.png'), '--overwrite']
    number = iter(range(10**6))
    caches: list[str] = []

    def first() -> float:
        caches.append(str(folder / f'cache_{next(number)}'))
        return again()

    def again(*options: str) -> float:
        return seconds([*upscale, *options], SR_JAX_CACHE=caches[-1])

    few = ('--products', 'few')
    bfloat16 = ('--dtype', 'bfloat16')
    found: dict[str, Callable[[], float]] = {
        'first': first,
        'again': again,
        'few products, first': lambda: again(*few),
        'few products, again': lambda: again(*few),
        'bfloat16, first': lambda: again(*bfloat16),
        'bfloat16, again': lambda: again(*bfloat16),
    }
    if args.before:
        found['before'] = lambda: seconds(upscale, args.before)
    if args.ncnn_python:
        script = str(Path(__file__).with_name('command_to_file_ncnn.py'))
        files = [*map(str, named.find(WEIGHTS)), image, str(folder / 'theirs.png')]
        found['ncnn'] = lambda: seconds([args.ncnn_python, script, *files])
    return found


def main() -> None:
    """Times all, and prints the medians and what each is of ncnn's time."""
    args = parse_arguments()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        timed = programs(args, Path(folder))
        for _ in range(args.rounds):
            for name, measure in timed.items():
                times.setdefault(name, []).append(measure())
                print(f'{name}: {times[name][-1]:.2f} s', flush=True)
    for name, found in times.items():
        line = f'{name}: {statistics.median(found):.2f} s (least {min(found):.2f})'
        if 'ncnn' in times:
            ratios = [a / b for a, b in zip(found, times['ncnn'], strict=True)]
            line += f', {statistics.median(ratios):.2f} of ncnn'
        print(line)


if __name__ == '__main__':
    main()
