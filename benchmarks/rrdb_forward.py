"""Times RRDBNet's forward pass on the CPU: JAX against PyTorch eager and ncnn, in turn.

  python benchmarks/rrdb_forward.py --torch-python PATH --ncnn

JAX runs in the interpreter that runs this file, with fewer products (`sr_jax.layers.winograd`) and
with all, ncnn (the extra `ncnn`) too; PATH is an interpreter that has torch, in which
`rrdb_forward_torch.py` runs the same network when told to, channels last. All have the same
published weights, 23 blocks of 64 features, in float32, and the same image; what they make of it is
compared before anything is timed. Rounds alternate between them, so that whatever else the machine
does falls on all.

  python benchmarks/rrdb_forward.py --peak-memory IMAGE [upscale's options...]

enlarges an image by `python -m sr_jax upscale` and prints the most memory that the process held.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sr_jax.inference import networks
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.layers.repeated import Repetition, repeating
from sr_jax.layers.winograd import fewer_products
from sr_jax.pretrained import named, rrdb

WEIGHTS = 'realesrgan-x4plus'
TOLERANCE = 1e-3  # between what two programs make of an image in [0, 1]
MODEL = {'features': 64, 'growth': 32, 'num_blocks': 23}

CLOCKS = ('perf_counter', 'process_time')  # of the module time

Forward = Callable[[], np.ndarray]  # waits for the image


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter that has torch')
    parser.add_argument('--ncnn', action='store_true', help='compare with ncnn')
    parser.add_argument('--side', type=int, default=128, help='of the square input in pixels')
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's and ncnn's")
    parser.add_argument('--rounds', type=int, default=8)
    parser.add_argument(
        '--clock',
        choices=CLOCKS,
        default='perf_counter',
        help='process_time on a busy machine, with --threads 1 and on one core (taskset)',
    )
    parser.add_argument(
        '--peak-memory', nargs=argparse.REMAINDER, metavar='ARGUMENT', help='an image, and options'
    )
    return parser.parse_args()


def multiply_adds(features: int, growth: int, num_blocks: int) -> int:
    """Of the forward pass at scale 4, for each pixel of the input."""
    inputs = [features + i * growth for i in range(5)]
    outputs = [growth] * 4 + [features]
    dense = sum(i * o for i, o in zip(inputs, outputs, strict=True))
    at_input = 3 * features + 3 * num_blocks * dense + features**2
    # the two enlarging convolutions, the one after them, and the last one
    enlarged = features**2 * (4 + 16 + 16) + 16 * 3 * features
    return 9 * (at_input + enlarged)


def jax_forward(network: LoadedNetwork, image: np.ndarray, few_products: bool) -> Forward:
    """JAX's, compiled."""
    module = network.module()

    def forward(variables: Any, images: np.ndarray) -> Any:
        with repeating(Repetition.LOOP), fewer_products(int(few_products)):
            return module.apply(variables, images)

    apply = jax.jit(forward).lower(network.variables, image[None]).compile()
    variables = jax.device_put(network.variables)
    return lambda: np.asarray(apply(variables, image[None]))[0]


def ncnn_forward(image: np.ndarray, threads: int) -> Forward:
    """ncnn's, in float32, with its default convolutions."""
    import ncnn

    param, weights = named.find(WEIGHTS)
    net = ncnn.Net()
    net.opt.num_threads = threads
    for half in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{half}', False)
    net.load_param(str(param))
    net.load_model(str(weights))
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))  # ncnn only points to them

    def forward() -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input('data', ncnn.Mat(planes))
            return np.array(extractor.extract('output')[1]).transpose(1, 2, 0)

    return forward


class Torch:
    """PyTorch's, in a process of its own: `seconds` of a forward pass, and its image."""

    def __init__(self, network: LoadedNetwork, image: np.ndarray, args: argparse.Namespace):
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        state = rrdb.to_torch(network.variables)
        flat = [np.ravel(value).astype(np.float32) for _, value in sorted(state.items())]
        (folder / 'weights').write_bytes(np.concatenate(flat).tobytes())
        (folder / 'image').write_bytes(image.transpose(2, 0, 1).tobytes())
        script = Path(__file__).with_name('rrdb_forward_torch.py')
        numbers = (*MODEL.values(), len(image), args.threads)
        self._child = subprocess.Popen(
            [args.torch_python, str(script), str(folder), args.clock, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.seconds()
        made = np.frombuffer((folder / 'made').read_bytes(), np.float32)
        side = 4 * len(image)
        self.image = made.reshape(3, side, side).transpose(1, 2, 0)

    def seconds(self) -> float:
        """Seconds of one more forward pass; RuntimeError when the process has ended."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write('\n')
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError('the process that has torch has ended: see its message above')
        return float(answer)

    def close(self) -> None:
        """Ends the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()
        self._folder.cleanup()


def seconds(forward: Forward, clock: str) -> float:
    """Seconds of a forward pass."""
    now = getattr(time, clock)
    start = now()
    forward()
    return now() - start


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[dict[str, Callable[[], float]]]:
    """What gives the seconds of a forward pass, by the program's name, checked to be the same."""
    network = networks.load(WEIGHTS)
    image = np.random.default_rng(0).random((args.side, args.side, 3), np.float32)
    ours, few = (jax_forward(network, image, few_products) for few_products in (False, True))
    expected = ours()
    check('few products', few(), expected)
    timed = {
        f'JAX {jax.__version__}, few products': lambda: seconds(few, args.clock),
        'all products': lambda: seconds(ours, args.clock),
    }
    torch = None
    try:
        if args.torch_python:
            torch = Torch(network, image, args)
            check('PyTorch', torch.image, expected)
            timed['PyTorch'] = torch.seconds
        if args.ncnn:
            theirs = ncnn_forward(image, args.threads)
            check('ncnn', theirs(), expected)
            timed['ncnn'] = lambda: seconds(theirs, args.clock)
        yield timed
    finally:
        if torch is not None:
            torch.close()


def check(name: str, image: np.ndarray, expected: np.ndarray) -> None:
    """Prints how far another program's image is from ours; ValueError if too far."""
    difference = float(np.abs(image - expected).max())
    print(f'{name}: the same image to {difference:.1e}', flush=True)
    if not difference < TOLERANCE:
        raise ValueError(f'{name} makes another image: there is no sense in timing it')


def report(rounds: list[dict[str, float]], flops: float) -> None:
    """Prints the medians, and the ratios of the first program's time to each other one's."""
    ours = next(iter(rounds[0]))
    for name in rounds[0]:
        times = [times[name] for times in rounds]
        median = statistics.median(times)
        speed = flops / median / 1e9
        print(f'{name}: {median:.2f} s (least {min(times):.2f}), {speed:.0f} GFLOP/s')
        if name != ours:
            ratios = [times[ours] / times[name] for times in rounds]
            low, ratio, high = statistics.quantiles(ratios, n=4)
            least = min(times[ours] for times in rounds) / min(times)
            print(
                f'  ratio {ratio:.2f} (quartiles {low:.2f} to {high:.2f} of {len(rounds)} rounds, '
                f'all from {min(ratios):.2f} to {max(ratios):.2f}); of the least times {least:.2f}'
            )


def peak_memory(arguments: list[str]) -> int:
    """Enlarges images in a process of its own; returns the most bytes that it held."""
    command = [sys.executable, '-m', 'sr_jax', 'upscale', *arguments]
    subprocess.run(command, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # Linux counts in KiB


def main() -> None:
    """Times the programs that are asked for, or measures memory."""
    args = parse_arguments()
    if args.peak_memory:
        print(f'peak memory: {peak_memory(args.peak_memory) / 1e9:.2f} GB')
        return
    flops = 2.0 * multiply_adds(**MODEL) * args.side**2
    print(f'floor: {flops / 1e9:.0f} GFLOP')
    with opened(args) as timed:
        rounds = [{name: run() for name, run in timed.items()} for _ in range(args.rounds)]
    report(rounds, flops)


if __name__ == '__main__':
    main()
