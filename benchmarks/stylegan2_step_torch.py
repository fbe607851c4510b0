"""The PyTorch side of `stylegan2_step.py`: the same networks and train step, eager, on the CPU.

Run by that script in an interpreter that has torch; makes a round of 16 steps for each line on the
standard input and answers with the seconds that a step took on average. The forms are those of
PyTorch's StyleGAN2 programs where they have no CUDA: a grouped convolution for the modulated
kernels, filters as convolutions of single channels.
"""

import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional

FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0])
KERNEL = torch.outer(FILTER, FILTER) / FILTER.sum() ** 2


def filtered(x, gain=1, up=1, down=1, pad=(0, 0)):
    """Zeros between pixels, padding, a filter, and every down-th pixel."""
    n, c, h, w = x.shape
    x = x.reshape(n * c, 1, h, 1, w, 1)
    x = functional.pad(x, (0, up - 1, 0, 0, 0, up - 1)).reshape(n * c, 1, h * up, w * up)
    x = functional.pad(x, (*pad, *pad))
    x = functional.conv2d(x, (KERNEL * gain)[None, None])[:, :, ::down, ::down]
    return x.reshape(n, c, *x.shape[2:])


def activate(x, bias):
    """A bias and the scaled leaky ReLU."""
    bias = bias.view(1, -1, *(1,) * (x.ndim - 2))
    return functional.leaky_relu(x + bias, 0.2) * math.sqrt(2)


class Linear(nn.Module):
    """Equalized."""

    def __init__(self, inputs, outputs, rate=1.0, start=0.0, activated=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), start))
        self.scale, self.rate, self.activated = rate / math.sqrt(inputs), rate, activated

    def forward(self, x):
        """Features of features."""
        y = functional.linear(x, self.weight * self.scale)
        return activate(y, self.bias * self.rate) if self.activated else y + self.bias * self.rate


class Conv(nn.Module):
    """Equalized, halving where it is to."""

    def __init__(self, inputs, outputs, taps, halving=False, activated=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, taps, taps))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activated else None
        self.scale, self.halving = 1 / math.sqrt(inputs * taps**2), halving

    def forward(self, x):
        """Features at the same or half the size."""
        taps = self.weight.shape[-1]
        if self.halving:
            around = taps + 1
            x = filtered(x, pad=((around + 1) // 2, around // 2))
            x = functional.conv2d(x, self.weight * self.scale, stride=2)
        else:
            x = functional.conv2d(x, self.weight * self.scale, padding=taps // 2)
        return x if self.bias is None else activate(x, self.bias)


class Modulated(nn.Module):
    """A convolution for each image, of grouped channels."""

    def __init__(self, inputs, outputs, taps, style, up=False, demodulate=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, taps, taps))
        self.modulation = Linear(style, inputs, start=1.0)
        self.scale, self.up, self.demodulate = 1 / math.sqrt(inputs * taps**2), up, demodulate

    def forward(self, x, style):
        """Features of features and styles."""
        n, c, h, w = x.shape
        weight = self.weight * self.modulation(style).view(n, 1, c, 1, 1) * self.scale
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        x, outputs = x.reshape(1, n * c, h, w), weight.shape[1]
        if self.up:
            weight = weight.transpose(1, 2).flatten(0, 1)
            y = functional.conv_transpose2d(x, weight, stride=2, groups=n)
            return filtered(y.view(n, outputs, *y.shape[2:]), 4, pad=(1, 1))
        taps = weight.shape[-1]
        y = functional.conv2d(x, weight.flatten(0, 1), padding=taps // 2, groups=n)
        return y.view(n, outputs, h, w)


class Generator(nn.Module):
    """Latents to images."""

    def __init__(self, size, style, mapping, base, most):
        super().__init__()
        self.sides = [2**i for i in range(2, size.bit_length())]
        widths = [min(base // side, most) for side in self.sides]
        self.mapping = nn.Sequential(
            *(Linear(style, style, 0.01, activated=True) for _ in range(mapping))
        )
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.layers, self.rgbs = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(widths):
            if i:
                self.layers.append(Modulated(widths[i - 1], width, 3, style, up=True))
            self.layers.append(Modulated(width, width, 3, style))
            self.rgbs.append(Modulated(width, 3, 1, style, demodulate=False))
        outputs = [layer.weight.shape[1] for layer in self.layers]
        self.biases = nn.ParameterList([torch.zeros(width) for width in outputs])
        self.strengths = nn.ParameterList([torch.zeros(1) for _ in outputs])
        self.rgb_biases = nn.ParameterList([torch.zeros(1, 3, 1, 1) for _ in widths])

    def styles(self, z):
        """The styles of latents."""
        return self.mapping(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))

    def forward(self, styles):
        """Images of a style for each layer."""
        x, image = self.constant.repeat(len(styles), 1, 1, 1), None
        place = 0
        for i, rgb in enumerate(self.rgbs):
            for _ in range(2 if i else 1):
                x = self.layers[place](x, styles[:, place])
                x = x + self.strengths[place] * torch.randn(len(x), 1, *x.shape[2:])
                x = activate(x, self.biases[place])
                place += 1
            made = rgb(x, styles[:, place]) + self.rgb_biases[i]
            image = made if image is None else made + filtered(image, 4, up=2, pad=(2, 1))
        return image


class Block(nn.Module):
    """Residual, halving."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.second = Conv(inputs, inputs, 3), Conv(inputs, outputs, 3, True)
        self.skip = Conv(inputs, outputs, 1, True, False)

    def forward(self, x):
        """Features at half the size."""
        return (self.second(self.first(x)) + self.skip(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """Images to logits."""

    def __init__(self, size, base, most):
        super().__init__()
        widths = [min(base // side, most) for side in (2**i for i in range(2, size.bit_length()))]
        blocks = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.blocks = nn.Sequential(Conv(3, widths[-1], 1), *(Block(*pair) for pair in blocks))
        self.last = Conv(widths[0] + 1, widths[0], 3)
        self.linear = nn.Sequential(
            Linear(16 * widths[0], widths[0], activated=True), Linear(widths[0], 1)
        )

    def forward(self, x):
        """Logits of images in [-1, 1]."""
        x = self.blocks(x)
        n, c, h, w = x.shape
        group = min(n, 4)
        deviation = x.view(group, -1, c, h, w).var(0, unbiased=False).add(1e-8).sqrt()
        maps = deviation.mean((1, 2, 3)).repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w)
        return self.linear(self.last(torch.cat([x, maps], 1)).flatten(1))


def stepper(batch, size, style, mapping, base, most):
    """A function that makes the train step of a number, with the regularizers when it is time."""
    generator, average = (Generator(size, style, mapping, base, most) for _ in range(2))
    discriminator = Discriminator(size, base, most)
    first = torch.optim.Adam(generator.parameters(), 0.002 * 4 / 5, (0.0, 0.99 ** (4 / 5)))
    decays = (0.0, 0.99 ** (16 / 17))
    second = torch.optim.Adam(discriminator.parameters(), 0.002 * 16 / 17, decays)
    images, mean = torch.rand(batch, 3, size, size) * 2 - 1, torch.zeros(())
    number = len(generator.layers) + 1

    def draw(count):
        pair = [generator.styles(torch.randn(count, style))[:, None] for _ in range(2)]
        cut = int(torch.randint(1, number, ()))
        return torch.cat([pair[0].repeat(1, cut, 1), pair[1].repeat(1, number - cut, 1)], 1)

    def descend(optimizer, loss, network):
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(network.parameters()))
        optimizer.step()

    def step(number_of_step):
        nonlocal mean
        with torch.no_grad():
            fake = generator(draw(batch))
        loss = functional.softplus(-discriminator(images)).mean()
        loss = loss + functional.softplus(discriminator(fake)).mean()
        descend(second, loss, discriminator)
        if number_of_step % 16 == 0:
            real = images.clone().requires_grad_()
            (slope,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
            descend(second, 8 * slope.square().sum((1, 2, 3)).mean(), discriminator)
        loss = functional.softplus(-discriminator(generator(draw(batch)))).mean()
        descend(first, loss, generator)
        if number_of_step % 4 == 0:
            styles = draw(batch // 2)
            made = generator(styles)
            product = (made * torch.randn_like(made)).sum() / size
            (slope,) = torch.autograd.grad(product, styles, create_graph=True)
            lengths = slope.square().sum(2).mean(1).sqrt()
            mean = (mean + 0.01 * (lengths.mean() - mean)).detach()
            descend(first, 8 * (lengths - mean).square().mean(), generator)
        with torch.no_grad():
            for old, new in zip(average.parameters(), generator.parameters(), strict=True):
                old.lerp_(new, 0.001)

    return step


def main():
    """Answers each line with the seconds that a step of a round took."""
    threads, *sizes = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = stepper(*sizes)
    step(0)
    step(1)
    print(f'PyTorch {torch.__version__}', flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        for number in range(16):
            step(number)
        print((time.perf_counter() - began) / 16, flush=True)


if __name__ == '__main__':
    main()
