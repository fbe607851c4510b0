"""The most memory that films of two lengths take, each enlarged in a process of its own.

  python benchmarks/film_memory.py [--seconds 10 600] [--size 48x36]

The network repeats pixels, and every frame differs from the one before. Memory must not grow with
the film: all that may is what is known of each packet when the pieces are joined.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests'))

from films import Film, constant
from tiny_networks import repeating

from sr_jax.inference import networks

ROOT = Path(__file__).parents[1]
RATE = 25
# Prints the most KiB that the process held.
CODE = """
import resource, sys
from sr_jax.__main__ import main
status = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


def make_film(path: Path, seconds: int, size: tuple[int, int]) -> None:
    """Writes a film with a sound."""
    film = Film(path, 'libx264', size, f'1/{RATE}', RATE, options={'preset': 'ultrafast'})
    film.add_sound('mp2', 'deu')
    film.write(constant(seconds * RATE, size, 'yuv420p', film.tick, 1))
    film.play(seconds)
    film.close()


def measure(film: Path, weights: Path, output: Path) -> float:
    """Enlarges a film; returns the most MiB that the process held."""
    words = ['upscale', str(film), '--weights', str(weights), '--output', str(output)]
    done = subprocess.run(
        [sys.executable, '-c', CODE, *words, '--preset', 'ultrafast'],
        env=os.environ | {'PYTHONPATH': str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stderr.split()[-1]) / 1024


def main() -> None:
    """Prints the memory of each length."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--seconds', nargs='+', type=int, default=[10, 600])
    parser.add_argument('--size', default='48x36')
    args = parser.parse_args()
    width, height = map(int, args.size.split('x'))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        networks.save(folder / 'repeating.safetensors', repeating())
        for seconds in args.seconds:
            film = folder / f'{seconds}.mkv'
            make_film(film, seconds, (width, height))
            begin = time.perf_counter()
            weights, output = folder / 'repeating.safetensors', folder / f'{seconds}_2x.mkv'
            peak = measure(film, weights, output)
            took = time.perf_counter() - begin
            print(f'{seconds} s, {seconds * RATE} frames: {peak:.0f} MiB, {took:.0f} s', flush=True)


if __name__ == '__main__':
    main()
