"""The PyTorch side of `resnet_step.py`: torchvision's network and train step, eager, on the CPU.

Run by that script in an interpreter that has torchvision; makes a step for each line on the
standard input and answers with the seconds that it took.
"""

import sys
import time

import torch
import torchvision
from torch.nn import functional


def stepper(depth: int, batch: int, crop: int):
    """A function that makes one train step."""
    model = getattr(torchvision.models, f'resnet{depth}')()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    x, label = torch.randn(batch, 3, crop, crop), torch.arange(batch)
    print(f'PyTorch {torch.__version__}', file=sys.stderr)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), label).backward()
        optimizer.step()

    return step


def main() -> None:
    """Serve steps: depth, batch, crop and threads are the arguments."""
    depth, batch, crop, threads = (int(text) for text in sys.argv[1:])
    torch.set_num_threads(threads)
    step = stepper(depth, batch, crop)
    step()
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == '__main__':
    main()
