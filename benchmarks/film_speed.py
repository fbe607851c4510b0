"""Times films through realesr-animevideov3 on the CPU, end to end, against PyTorch and ncnn.

  python benchmarks/film_speed.py PHOTO --peers-python PATH --size 640x480 --frames 6

PATH is an interpreter that has torch, ncnn and PyAV; there `film_speed_peers.py` does what
Real-ESRGAN's own script does: a frame is decoded to RGB, enlarged and encoded, then the next one.
All three have the same weights and encoder (libx264, crf 17) and enlarge the same film, a walk over
a photograph. Starting, reading the weights and compiling are not counted; the plan that ours makes
of a film before its first frame is, and is also given by itself. Rounds alternate, so that whatever
else the machine does falls on all. `--still N` shows every frame N times, as drawn films do.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from sr_jax.devices.cores import split_cpu
from sr_jax.inference import networks
from sr_jax.inference.film.job import FilmJob
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.film.progress import Progress
from sr_jax.inference.upscaler import Upscaler
from sr_jax.pretrained import named, srvgg

WEIGHTS = 'realesr-animevideov3'
PEERS = ('torch', 'ncnn')
RATE = 25
MIN_PSNR = 30.0  # of a peer's film to ours: the peers' colors are rounded otherwise


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('photo', type=Path, help='of which the film is made')
    parser.add_argument('--peers-python', metavar='PATH', help='has torch, ncnn and PyAV')
    parser.add_argument('--size', default='320x240')
    parser.add_argument('--frames', type=int, default=12, help='that differ')
    parser.add_argument('--still', type=int, default=1, help='how often each is shown')
    parser.add_argument('--same', type=float, default=0, help='levels, as of sr-jax upscale')
    parser.add_argument('--dtype', default='float32', help='of our network')
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's and ncnn's")
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def make_film(path: Path, photo: Path, size: tuple[int, int], frames: int, still: int) -> None:
    """Writes a walk over a photograph."""
    width, height = size
    with Image.open(photo) as image:
        scale = 2 * max(width / image.width, height / image.height)
        sides = (round(image.width * scale), round(image.height * scale))
        pixels = np.asarray(image.convert('RGB').resize(sides, Image.Resampling.LANCZOS))
    with av.open(str(path), 'w') as output:
        stream = output.add_stream('libx264', rate=RATE, width=width, height=height)
        stream.pix_fmt, stream.options = 'yuv420p', {'crf': '18'}
        for number in range(frames * still):
            step = number // still
            rows, columns = slice(step, step + height), slice(2 * step, 2 * step + width)
            part = np.ascontiguousarray(pixels[rows, columns])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(part, 'rgb24')))
        output.mux(stream.encode(None))


class Ours:
    """Our way: `FilmJob`, in this process."""

    def __init__(self, dtype: str, same: float):
        self._options = FilmOptions(segment=Fraction(60), same=same)
        self._upscaler = Upscaler(networks.load(WEIGHTS), bounded=False, dtype=dtype)
        self.planning = 0.0
        self.last: Progress | None = None

    def __call__(self, film: Path, output: Path) -> float:
        """Enlarges a film; returns the seconds that it took."""
        begin = time.perf_counter()
        job = FilmJob(self._upscaler, film, output, self._options)
        self.planning = time.perf_counter() - begin
        job.run(overwrite=True, show=self._note)
        return time.perf_counter() - begin

    def _note(self, progress: Progress) -> None:
        self.last = progress


class Peer:
    """A peer's way, in a process of its own."""

    def __init__(self, name: str, python: str, folder: Path, threads: int):
        script = Path(__file__).with_name('film_speed_peers.py')
        self._child = subprocess.Popen(
            [python, str(script), name, str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __call__(self, film: Path, output: Path) -> float:
        """Enlarges a film; returns the seconds that it took."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(f'{film}\t{output}\n')
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError('the process of a peer has ended: see its message above')
        return float(answer)

    def close(self) -> None:
        """Ends the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


@contextmanager
def peers(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Peer]]:
    """The peers, with the weights in a folder."""
    if not args.peers_python:
        yield {}
        return
    state = srvgg.to_torch(networks.load(WEIGHTS).variables)
    np.savez(folder / 'weights.npz', **state)
    for path, suffix in zip(named.find(WEIGHTS), ('param', 'bin'), strict=True):
        (folder / f'weights.{suffix}').write_bytes(path.read_bytes())
    with ExitStack() as stack:
        found = {name: Peer(name, args.peers_python, folder, args.threads) for name in PEERS}
        for peer in found.values():
            stack.callback(peer.close)
        yield found


def frames_of(path: Path) -> list[np.ndarray]:
    """The luma of a film's frames."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='gray') for frame in container.decode(video=0)]


def check(name: str, ours: Path, theirs: Path) -> None:
    """Prints how near a peer's film is to ours; ValueError if it is another."""
    pairs = zip(frames_of(ours), frames_of(theirs), strict=True)
    error = np.mean([np.square(one - other.astype(float)).mean() for one, other in pairs])
    psnr = 10 * np.log10(255**2 / error)
    print(f'{name}: the same film to {psnr:.1f} dB', flush=True)
    if psnr < MIN_PSNR:
        raise ValueError(f'{name} makes another film: there is no sense in timing it')


def report(rounds: list[dict[str, float]], shown: int) -> None:
    """Prints frames a second, and how often as many we make in the same time."""
    for name in rounds[0]:
        median = statistics.median(times[name] for times in rounds)
        words = f'{name}: {shown / median:.2f} frames a second ({median / shown:.3f} s each)'
        if name != 'ours':
            ratios = sorted(times[name] / times['ours'] for times in rounds)
            middle = statistics.median(ratios)
            words += f'; ours {middle:.2f} times as many ({ratios[0]:.2f} to {ratios[-1]:.2f})'
        print(words, flush=True)


def main() -> None:
    """Times all ways of enlarging a film."""
    args = parse_arguments()
    split_cpu()  # as the command does
    width, height = map(int, args.size.split('x'))
    with tempfile.TemporaryDirectory() as name, peers(args, Path(name)) as theirs:
        folder = Path(name)
        film = folder / 'film.mkv'
        make_film(film, args.photo, (width, height), args.frames, args.still)
        ours = Ours(args.dtype, args.same)
        ways = {'ours': ours, **theirs}
        for way, run in ways.items():  # compiles, and fills caches
            run(film, folder / f'{way}.mkv')
            if way != 'ours':
                check(way, folder / 'ours.mkv', folder / f'{way}.mkv')
        rounds = [
            {way: run(film, folder / f'{way}.mkv') for way, run in ways.items()}
            for _ in range(args.rounds)
        ]
    report(rounds, args.frames * args.still)
    print(f'ours, before the first frame: {ours.planning:.2f} s; then {ours.last}')


if __name__ == '__main__':
    main()
