"""Times the networks that people have on the CPU: JAX against spandrel's modules in PyTorch, eager.

  python benchmarks/network_speed.py --torch-python PATH [--onnx] [NETWORK ...]
  python benchmarks/network_speed.py --memory 512 [NETWORK ...]

PATH is an interpreter that has torch and spandrel (for SRFormer spandrel_extra_arches too). Each
network has its published size at scale 4 and weights at random, which spandrel reads from a file
that we write. What both make of an image is compared before anything is timed; rounds alternate
between the two. With --onnx both are exported, ours by jax2onnx and the other by torch.onnx, and
run in onnxruntime, in this interpreter. --memory prints what the compiled program holds beside
weights, image and result.
"""

import argparse
import dataclasses
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sr_jax import models
from sr_jax.inference import exported
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.pretrained import files, recognition

NETWORKS = (
    *('srvgg', 'rrdb', 'span', 'swinir', 'dat', 'realplksr', 'omnisr'),
    *('hat', 'srformer', 'rcan', 'mosr', 'rgt', 'drct', 'atd'),
)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('networks', nargs='*', metavar='NETWORK', help=', '.join(NETWORKS))
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter with spandrel')
    parser.add_argument('--onnx', action='store_true', help='compare the exports instead')
    parser.add_argument('--memory', type=int, metavar='SIDE', help='print the memory of a program')
    parser.add_argument('--side', type=int, default=64, help='of the square input in pixels')
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's and onnxruntime's")
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-3,
        help='between both images, as a part of the largest value; ATD needs 0.1, as its sort '
        'leaves the order of equals open',
    )
    return parser.parse_args()


def draw(name: str) -> LoadedNetwork:
    """A network of the published size at scale 4, with weights at random."""
    module = models.make({'name': name, 'scale': 4})
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    rng = np.random.default_rng(0)

    def values(path: Any, leaf: Any) -> np.ndarray:
        drawn = rng.standard_normal(leaf.shape)
        if leaf.ndim > 1:
            drawn *= 0.7 / np.sqrt(np.prod(leaf.shape[:-1]))
        elif path[-1].key in ('scale', 'weight', 'temperature', 'var'):
            drawn = 1 + 0.1 * drawn
        else:
            drawn *= 0.1
        return drawn.astype(leaf.dtype)

    variables = {key: tree for key, tree in shapes.items() if key != 'intermediates'}
    others = ('parent', 'name', 'dtype', 'remat')
    keys = [field.name for field in dataclasses.fields(module) if field.name not in others]
    model = {key: getattr(module, key) for key in keys}
    sections = {k: dataclasses.asdict(v) for k, v in model.items() if dataclasses.is_dataclass(v)}
    model |= sections
    variables = jax.tree.map_with_path(values, variables)
    return LoadedNetwork({'name': name, **model}, variables, name)


def compile_for(network: LoadedNetwork, side: int) -> Any:
    """The compiled forward pass of one square image."""
    shape = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    return jax.jit(network.module().apply).lower(network.variables, shape).compile()


class Torch:
    """spandrel's module in a process of its own, on the weights of a file."""

    def __init__(self, python: str, weights: Path, threads: int):
        script = Path(__file__).with_name('network_speed_torch.py')
        self._child = subprocess.Popen(
            [python, str(script), str(weights), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, *words: object) -> str:
        """Its answer to a line; RuntimeError when the process has ended."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(' '.join(map(str, words)) + '\n')
        answer = self._child.stdout.readline().strip()
        if not answer:
            raise RuntimeError('the process that has torch has ended: see its message above')
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


def compare(found: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    """How far two images are apart; ValueError if too far."""
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference < tolerance:
        raise ValueError(f'another image (by {difference:.1e}): there is no sense in timing it')
    return difference


def timed(run: Callable[[], Any]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ours_compiled(network: LoadedNetwork, image: np.ndarray) -> Callable[[], np.ndarray]:
    """Ours, which waits for the image."""
    compiled = compile_for(network, image.shape[1])
    variables = jax.device_put(network.variables)
    return lambda: np.asarray(compiled(variables, image)).transpose(0, 3, 1, 2)


def open_onnx(path: Path, image: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """An ONNX program in onnxruntime, which waits for the image."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    given = {session.get_inputs()[0].name: image.transpose(0, 3, 1, 2).copy()}
    return lambda: session.run(None, given)[0]


def measure(name: str, args: argparse.Namespace) -> str:
    """A row of the table: both programs' times, and their ratio."""
    network = draw(name)
    image = np.random.default_rng(1).random((1, args.side, args.side, 3), np.float32)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        weights = folder / 'w.safetensors'
        state = recognition.foreign_names(name, network.module(), network.variables, name)
        files.write_original(weights, state)
        np.save(folder / 'x.npy', image.transpose(0, 3, 1, 2).copy())
        torch = Torch(args.torch_python, weights, args.threads)
        torch.ask('make', folder / 'x.npy', folder / 'y.npy')
        expected = np.load(folder / 'y.npy')
        ours, theirs = _open_both(network, image, torch, folder, args)
        difference = compare(ours(), expected, args.tolerance)
        rounds = [(timed(ours), theirs()) for _ in range(args.rounds)]
        torch.close()
    ratios = [mine / other for mine, other in rounds]
    mine, other = (statistics.median(times) for times in zip(*rounds, strict=True))
    spread = f'{min(ratios):.2f} to {max(ratios):.2f}'
    ratio = statistics.median(ratios)
    return f'| {name} | {difference:.1e} | {mine:.3f} | {other:.3f} | {ratio:.2f} ({spread}) |'


def _open_both(
    network: LoadedNetwork, image: np.ndarray, torch: Torch, folder: Path, args: argparse.Namespace
) -> tuple[Callable[[], np.ndarray], Callable[[], float]]:
    """What makes an image by ours, and what gives the seconds of the other's."""
    if not args.onnx:
        return ours_compiled(network, image), lambda: float(torch.ask('time'))
    exported.write_onnx(folder / 'ours.onnx', network)
    torch.ask('export', folder / 'theirs.onnx')
    paths = (folder / 'ours.onnx', folder / 'theirs.onnx')
    ours, other = (open_onnx(path, image, args.threads) for path in paths)
    compare(other(), ours(), args.tolerance)
    return ours, lambda: timed(other)


def measure_memory(name: str, side: int) -> str:
    """A row: the temporary memory of the compiled program."""
    found = compile_for(draw(name), side).memory_analysis()
    return f'| {name} | {found.temp_size_in_bytes / 2**30:.2f} GiB |'


def main() -> None:
    """Prints a row of each network."""
    args = parse_arguments()
    for name in args.networks or NETWORKS:
        try:
            row = measure_memory(name, args.memory) if args.memory else measure(name, args)
        except (RuntimeError, ValueError) as error:
            row = f'| {name} | {str(error).splitlines()[0]} |'
        print(row, flush=True)


if __name__ == '__main__':
    main()
