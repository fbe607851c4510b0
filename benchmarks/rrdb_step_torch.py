"""The PyTorch side of `rrdb_step.py`: RRDBNet and its train step, eager, on the CPU.

Run by that script in an interpreter that has torch; makes a step for each line on the standard
input and answers with the seconds that it took.
"""

import sys
import time

import torch
from rrdb_forward_torch import Network
from torch.nn import functional


def stepper(features: int, growth: int, blocks: int, batch: int, crop: int):
    """A function that makes one train step."""
    model = Network(features, growth, blocks).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    large = torch.rand(batch, 3, crop, crop).to(memory_format=torch.channels_last)
    print(f'PyTorch {torch.__version__}', file=sys.stderr)

    def step() -> None:
        small = functional.interpolate(large, scale_factor=0.25, mode='bicubic', antialias=True)
        optimizer.zero_grad()
        functional.l1_loss(model(small), large).backward()
        optimizer.step()

    return step


def main() -> None:
    """Serve steps: the network's sizes, the batch's and threads are the arguments."""
    *sizes, threads = (int(text) for text in sys.argv[1:])
    torch.set_num_threads(threads)
    step = stepper(*sizes)
    step()
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == '__main__':
    main()
