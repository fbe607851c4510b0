"""The PyTorch side of `vqvae_step.py`: the same network and train step, eager, on the CPU.

Run by that script in an interpreter that has torch; makes a round of steps for each line on the
standard input and answers with the seconds that a step took.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional

CODE_DIM = 64
CODES = 512
RES_CHANNELS = 32


class ResBlock(nn.Module):
    """Residual block; the nearest form adds the activated input, as its original does."""

    def __init__(self, width: int, form: str):
        super().__init__()
        self.rectified_skip = form == 'nearest'
        self.first = nn.Conv2d(width, RES_CHANNELS, 3, 1, 1)
        self.second = nn.Conv2d(RES_CHANNELS, width, 1)

    def forward(self, x):
        """x + f(x), or relu(x) + f(x)."""
        activated = functional.relu(x)
        branch = self.second(functional.relu(self.first(activated)))
        return branch + (activated if self.rectified_skip else x)


class Quantizer(nn.Module):
    """Nearest codes, straight-through, with the codebook's moving averages."""

    def __init__(self):
        super().__init__()
        embedding = torch.randn(CODE_DIM, CODES)
        self.register_buffer('embedding', embedding)
        self.register_buffer('cluster_size', torch.zeros(CODES))
        self.register_buffer('embedding_sum', embedding.clone())

    def forward(self, z):
        """Quantise NCHW features and learn from them."""
        z = z.permute(0, 2, 3, 1)
        flat = z.reshape(-1, CODE_DIM)
        lengths = self.embedding.square().sum(0, keepdim=True)
        distances = flat.square().sum(1, keepdim=True) - 2 * flat @ self.embedding + lengths
        index = distances.argmin(1)
        chosen = functional.embedding(index, self.embedding.T).view_as(z)
        self._learn(flat.detach(), index)
        loss = (chosen - z).square().mean()
        return (z + (chosen - z).detach()).permute(0, 3, 1, 2), loss

    @torch.no_grad()
    def _learn(self, flat, index):
        one_hot = functional.one_hot(index, CODES).to(flat.dtype)
        self.cluster_size.lerp_(one_hot.sum(0), 0.01)
        self.embedding_sum.lerp_(flat.T @ one_hot, 0.01)
        total = self.cluster_size.sum()
        smoothed = (self.cluster_size + 1e-5) / (total + CODES * 1e-5) * total
        self.embedding.copy_(self.embedding_sum / smoothed)


def down(form: str, inputs: int, outputs: int) -> list[nn.Module]:
    """Activated convolution that halves the size."""
    taps, padding = (4, 1) if form == 'transposed' else (5, 2)
    return [nn.Conv2d(inputs, outputs, taps, 2, padding), nn.ReLU()]


def up(form: str, inputs: int, outputs: int) -> list[nn.Module]:
    """Learnt doubling of the size, not activated."""
    if form == 'transposed':
        return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 5, 1, 2)]


def blocks(form: str, inputs: int, width: int) -> list[nn.Module]:
    """Convolution to `width`, two residual blocks and an activation."""
    conv = nn.Conv2d(inputs, width, 3, 1, 1)
    return [conv, ResBlock(width, form), ResBlock(width, form), nn.ReLU()]


class VQVAE(nn.Module):
    """The two-level autoencoder on images in [-1, 1]."""

    def __init__(self, form: str, width: int):
        super().__init__()
        half = width // 2
        self.encoder_bottom = nn.Sequential(
            *down(form, 3, half), *down(form, half, width), *blocks(form, width, width)
        )
        self.encoder_top = nn.Sequential(*down(form, width, half), *blocks(form, half, width))
        self.squeeze_top = nn.Conv2d(width, CODE_DIM, 1)
        self.quantizer_top = Quantizer()
        self.decoder_top = nn.Sequential(*blocks(form, CODE_DIM, width), *up(form, width, CODE_DIM))
        self.squeeze_bottom = nn.Conv2d(CODE_DIM + width, CODE_DIM, 1)
        self.quantizer_bottom = Quantizer()
        self.upsample_top = nn.Sequential(*up(form, CODE_DIM, CODE_DIM))
        self.decoder = nn.Sequential(
            *blocks(form, 2 * CODE_DIM, width),
            *up(form, width, half),
            nn.ReLU(),
            *up(form, half, 3),
        )

    def forward(self, x):
        """The reconstruction and the commitment loss."""
        features = self.encoder_bottom(x)
        top, loss_top = self.quantizer_top(self.squeeze_top(self.encoder_top(features)))
        context = torch.cat([self.decoder_top(top), features], 1)
        bottom, loss_bottom = self.quantizer_bottom(self.squeeze_bottom(context))
        image = self.decoder(torch.cat([self.upsample_top(top), bottom], 1))
        return image, loss_top + loss_bottom


def stepper(form: str, width: int, batch: int, crop: int):
    """A function that makes one train step."""
    model = VQVAE(form, width)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    x = 2 * torch.rand(batch, 3, crop, crop) - 1
    count = sum(p.numel() for p in model.parameters())
    print(f'PyTorch {torch.__version__}: {count} parameters', file=sys.stderr)

    def step() -> None:
        optimizer.zero_grad()
        image, commitment = model(x)
        (functional.mse_loss(image, x) + 0.25 * commitment).backward()
        optimizer.step()

    return step


def main() -> None:
    """Serve rounds of steps: form, channels, batch, crop, threads and steps are the arguments."""
    form, numbers = sys.argv[1], [int(text) for text in sys.argv[2:]]
    width, batch, crop, threads, steps = numbers
    torch.set_num_threads(threads)
    step = stepper(form, width, batch, crop)
    step()
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        print((time.perf_counter() - start) / steps, flush=True)


if __name__ == '__main__':
    main()
