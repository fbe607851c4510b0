"""The PyTorch side of `rrdb_forward.py`: RRDBNet, eager and channels last, on the CPU.

Run by that script in an interpreter that has torch: a folder with the raw float32 files `weights`
(all parameters, in the order of their names) and `image` (channels first), a clock of the module
time, then features, growth, blocks, side and threads. It makes the image once for each line on
the standard input, answers with the seconds that it took, and leaves the first one in `made`.
"""

import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution."""
    return nn.Conv2d(inputs, outputs, 3, 1, 1)


def activated(x):
    """Leaky ReLU, in place, as the original has it."""
    return functional.leaky_relu(x, 0.2, inplace=True)


class DenseBlock(nn.Module):
    """Five convolutions, each over all that came before it."""

    def __init__(self, features: int, growth: int):
        super().__init__()
        for i in range(4):
            self.add_module(f'conv{i + 1}', conv(features + i * growth, growth))
        self.conv5 = conv(features + 4 * growth, features)

    def forward(self, x):
        """x + 0.2 f(x)."""
        found = [x]
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            found.append(activated(layer(torch.cat(found, 1))))
        return x + 0.2 * self.conv5(torch.cat(found, 1))


class Block(nn.Module):
    """Three dense blocks."""

    def __init__(self, features: int, growth: int):
        super().__init__()
        for i in range(3):
            self.add_module(f'rdb{i + 1}', DenseBlock(features, growth))

    def forward(self, x):
        """x + 0.2 f(x)."""
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class Network(nn.Module):
    """RRDBNet of scale 4."""

    def __init__(self, features: int, growth: int, blocks: int):
        super().__init__()
        self.conv_first = conv(3, features)
        self.body = nn.Sequential(*[Block(features, growth) for _ in range(blocks)])
        for name in ('conv_body', 'conv_up1', 'conv_up2', 'conv_hr'):
            self.add_module(name, conv(features, features))
        self.conv_last = conv(features, 3)

    def forward(self, x):
        """The image, four times as high and wide."""
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for layer in (self.conv_up1, self.conv_up2):
            x = activated(layer(functional.interpolate(x, scale_factor=2, mode='nearest')))
        return self.conv_last(activated(self.conv_hr(x)))


def floats(path: Path) -> torch.Tensor:
    """The numbers of a raw file."""
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.float32)


def load(model: nn.Module, numbers: torch.Tensor) -> None:
    """Sets all parameters, in the order of their names; ValueError if there are not as many."""
    parameters = sorted(model.named_parameters())
    if sum(p.numel() for _, p in parameters) != numbers.numel():
        raise ValueError('weights of another network')
    start = 0
    with torch.no_grad():
        for _, parameter in parameters:
            parameter.copy_(numbers[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()


def main() -> None:
    """Serve forward passes."""
    folder, now = Path(sys.argv[1]), getattr(time, sys.argv[2])
    features, growth, blocks, side, threads = (int(text) for text in sys.argv[3:])
    torch.set_num_threads(threads)
    model = Network(features, growth, blocks)
    load(model, floats(folder / 'weights'))
    model = model.eval().to(memory_format=torch.channels_last)
    x = floats(folder / 'image').view(1, 3, side, side)
    x = x.contiguous(memory_format=torch.channels_last)
    print(f'PyTorch {torch.__version__}, {threads} threads', file=sys.stderr)
    for _ in sys.stdin:
        start = now()
        with torch.no_grad():
            made = model(x)
        elapsed = now() - start
        if not (folder / 'made').exists():
            numbers = made.contiguous().flatten().view(torch.uint8).tolist()
            (folder / 'made').write_bytes(bytes(numbers))
        print(elapsed, flush=True)


if __name__ == '__main__':
    main()
