"""The PyTorch side of `video_step.py`: the same networks and train step, eager, on the CPU.

Run by that script in an interpreter that has PyTorch; makes a step for each line on the standard
input and answers with the seconds that it took.
"""

import itertools
import sys
import time

import torch
from torch import nn
from torch.nn import functional

SCALE, SIGMA, REACH = 4, 1.5, 4


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Of 3 x 3 taps."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Motion(nn.Module):
    """FRVSR's flow network."""

    def __init__(self, features: int):
        super().__init__()
        widths = [6, *(features * w for w in (1, 2, 4, 8, 4, 2))]
        self.pairs = nn.ModuleList(
            nn.ModuleList([convolution(a, b), convolution(b, b)])
            for a, b in itertools.pairwise(widths)
        )
        self.last = nn.ModuleList([convolution(widths[-1], features), convolution(features, 2)])

    def forward(self, earlier, later):
        """The motion, in pixels."""
        x = torch.cat([earlier, later], 1)
        for i, pair in enumerate(self.pairs):
            for layer in pair:
                x = functional.leaky_relu(layer(x), 0.2)
            x = functional.max_pool2d(x, 2) if i < 3 else enlarge(x, 2)
        return 24 * torch.tanh(self.last[1](functional.leaky_relu(self.last[0](x), 0.2)))


class Generator(nn.Module):
    """TecoGAN's generator."""

    def __init__(self, features: int, blocks: int):
        super().__init__()
        self.first = convolution(3 + 3 * SCALE**2, features)
        self.blocks = nn.ModuleList(
            nn.ModuleList([convolution(features, features) for _ in range(2)])
            for _ in range(blocks)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(features, features, 3, 2, padding=1, output_padding=1)
            for _ in range(2)
        )
        self.last = convolution(features, 3)

    def forward(self, frame, moved):
        """The image."""
        x = torch.cat([frame, functional.pixel_unshuffle(moved, SCALE)], 1)
        x = functional.relu(self.first(x))
        for one, other in self.blocks:
            x = x + other(functional.relu(one(x)))
        for up in self.ups:
            x = functional.relu(up(x))
        return self.last(x) + enlarge(frame, SCALE, 'bicubic')


def enlarge(x, factor: int, mode: str = 'bilinear'):
    """Multiplies the sides."""
    return functional.interpolate(x, scale_factor=factor, mode=mode, align_corners=False)


def warp(x, motion):
    """Moves an image by `grid_sample`."""
    height, width = x.shape[2:]
    rows = torch.arange(height, dtype=torch.float32)[None, :, None] - motion[:, 0]
    columns = torch.arange(width, dtype=torch.float32)[None, None] - motion[:, 1]
    grid = torch.stack([columns * 2 / (width - 1) - 1, rows * 2 / (height - 1) - 1], -1)
    return functional.grid_sample(x, grid, padding_mode='border', align_corners=True)


def shrink(clips):
    """A Gaussian blur, then every fourth pixel."""
    taps = torch.exp(-(torch.arange(-REACH, REACH + 1.0) ** 2) / (2 * SIGMA**2))
    kernel = (torch.outer(taps, taps) / taps.sum() ** 2)[None, None].repeat(3, 1, 1, 1)
    padded = functional.pad(clips.flatten(0, 1), (REACH,) * 4, mode='reflect')
    return functional.conv2d(padded, kernel, stride=SCALE, groups=3).unflatten(0, clips.shape[:2])


def stepper(features: int, blocks: int, motion: int, batch: int, frames: int, crop: int):
    """A function that makes one train step."""
    estimate, generate = Motion(motion), Generator(features, blocks)
    parameters = [*estimate.parameters(), *generate.parameters()]
    optimizer = torch.optim.Adam(parameters, 5e-4, (0.9, 0.99))
    hq = torch.rand(batch, frames, 3, crop, crop)
    print(f'PyTorch {torch.__version__}', file=sys.stderr)

    def step() -> None:
        true = torch.cat([hq, hq[:, :-1].flip(1)], 1)
        small = shrink(hq)
        small = torch.cat([small, small[:, :-1].flip(1)], 1)
        before, image, images, moves = torch.zeros_like(small[:, 0]), true[:, 0] * 0, [], []
        for i in range(small.shape[1]):
            now = small[:, i]
            moved = estimate(before, now)
            if i:
                moves.append(warp(before, moved) - now)
            image = generate(now, warp(image, enlarge(SCALE * moved, SCALE)))
            images.append(image)
            before = now
        made = torch.stack(images, 1)
        half = made.shape[1] // 2
        ping_pong = (made[:, :half] - made[:, half + 1 :].flip(1)).abs().mean()
        pixels, motions = (made - true).square().mean(), torch.stack(moves).square().mean()
        optimizer.zero_grad()
        (12 * pixels + 3 * motions + ping_pong).backward()
        optimizer.step()

    return step


def main() -> None:
    """Serve steps: the numbers of `video_step.NUMBERS` are the arguments."""
    *numbers, threads = (int(text) for text in sys.argv[1:])
    torch.set_num_threads(threads)
    step = stepper(*numbers)
    step()
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == '__main__':
    main()
