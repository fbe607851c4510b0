"""Times drawing maps of codes from a PixelSNAIL: here, and by the published loop, in turn.

    python benchmarks/code_sampling.py --torch-python PATH --published FOLDER

FOLDER is a checkout of rosinality/vq-vae-2-pytorch, PATH an interpreter that has torch, in which
`code_sampling_torch.py` runs the loop of its `sample.py` with the same weights. That loop costs the
same in each column of a row: with --columns only so many are timed, and the time is that of them
times the side over their number. Compiling is not counted. It also tells how far the logits of the
steps are from those of the whole map.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from sr_jax.inference import networks
from sr_jax.inference.code_sampling import Drawer, Options, make_keys
from sr_jax.layers.weight_norm import fold


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', required=True, metavar='PATH')
    parser.add_argument('--published', required=True, metavar='FOLDER')
    parser.add_argument('--side', type=int, default=32, help='codes')
    parser.add_argument('--codes', type=int, default=512)
    parser.add_argument('--channels', type=int, default=256)
    parser.add_argument('--blocks', type=int, default=4)
    parser.add_argument('--res-blocks', type=int, default=4)
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--columns', type=int, default=0, help='timed of PyTorch; 0: all')
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's threads")
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def start_torch(arguments: argparse.Namespace, weights: Path) -> subprocess.Popen:
    """The PyTorch side, ready to draw."""
    asked = {
        'published': arguments.published,
        'side': arguments.side,
        'batch': arguments.batch,
        'columns': arguments.columns or arguments.side,
        'threads': arguments.threads,
        'weights': str(weights),
        'network': {
            'n_class': arguments.codes,
            'channel': arguments.channels,
            'kernel_size': 5,
            'n_block': arguments.blocks,
            'n_res_block': arguments.res_blocks,
            'res_channel': arguments.channels,
        },
    }
    script = Path(__file__).with_name('code_sampling_torch.py')
    process = subprocess.Popen(
        [arguments.torch_python, str(script), json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'ready\n'
    return process


def largest_error(network: networks.LoadedNetwork, codes: np.ndarray) -> float:
    """How far the logits of steps are from those of a pass over the whole map, at most."""
    module = network.module()
    whole = jax.jit(module.apply)(network.variables, codes)
    variables = fold(module, network.variables, codes)

    @jax.jit
    def step_row(fixed, cache, row):
        cache = module.apply(variables, fixed, cache, codes, row, method='start_row')

        def step(cache, column):
            found = module.apply(variables, fixed, cache, codes, row, column, method='step')
            return found[1], found[0]

        return jax.lax.scan(step, cache, np.arange(module.width))

    fixed = module.apply(variables, len(codes), method='start')
    cache = module.apply(variables, len(codes), method='start_cache')
    worst = 0.0
    for row in range(module.height):
        cache, logits = step_row(fixed, cache, np.int32(row))
        worst = max(worst, float(abs(logits.swapaxes(0, 1) - whole[:, row]).max()))
    return worst


def main() -> None:
    """Draws in turn and prints both times."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, 'published.pth')
        torch = start_torch(arguments, weights)
        network = networks.load(weights)
    drawer = Drawer(network.module(), network.variables, Options())
    keys = make_keys(0, np.arange(arguments.batch), 0)
    codes = drawer(keys)
    share = (arguments.columns or arguments.side) / arguments.side
    here, there = [], []
    for _ in range(arguments.rounds):
        torch.stdin.write('draw\n')
        torch.stdin.flush()
        there.append(float(torch.stdout.readline()) / share)
        began = time.perf_counter()
        drawer(keys)
        here.append(time.perf_counter() - began)
    torch.stdin.close()
    torch.wait()
    for name, seconds in (('published loop', there), ('cached', here)):
        spread = f'{min(seconds):.2f} to {max(seconds):.2f}'
        print(f'{name:<15} {statistics.median(seconds):8.2f} s a map ({spread})')
    ratios = [slow / fast for slow, fast in zip(there, here, strict=True)]
    print(f'ratio           {statistics.median(ratios):8.1f}')
    print(f'logits          {largest_error(network, codes[:1]):8.1e} from those of the whole map')


if __name__ == '__main__':
    main()
