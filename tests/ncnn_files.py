"""Writes networks as ncnn's pairs of files, for the tests of reading them."""

from typing import NamedTuple

import numpy as np

LEAKY = '9=2 -23310=1,2.000000e-01'


class Style(NamedTuple):
    """How a converter writes what can be written in several ways; the default is ncnn's optimizer.

    Attributes:
      half: weights of 16 bits.
      twins: a convolution's numbers down besides those across, as pnnx writes them.
      apart: leaky ReLUs are layers of their own.
      products: 0.2 a + b is a product and a sum.
      exchanged: the terms of a sum stand the other way round.
      clip: what clips the result: '', 'layer' or 'convolution'.
    """

    half: bool = False
    twins: bool = False
    apart: bool = False
    products: bool = False
    exchanged: bool = False
    clip: str = ''


class Writer:
    """Collects the layers of a network; `save` writes them."""

    def __init__(self, half):
        self.lines, self.data, self.half, self.blobs = ['Input in 0 1 data'], [], half, 1

    def layer(self, kind, inputs, numbers=''):
        """Adds a layer and returns the name of what it makes."""
        made = f'b{self.blobs}'
        self.blobs += 1
        blobs = ' '.join([*inputs, made])
        self.lines.append(f'{kind} l{self.blobs} {len(inputs)} 1 {blobs} {numbers}')
        return made

    def conv(self, source, state, name, activation='', twins=False):
        """Adds a convolution with its weights."""
        weight = state[f'{name}.weight']
        numbers = f'0={len(weight)} 1=3 4=1 5=1 6={weight.size} {activation}'
        if twins:
            numbers += ' 11=3 12=1 13=1 14=1 2=1 3=1'
        self.data.append((0x01306B47 if self.half else 0).to_bytes(4, 'little'))
        array = weight.astype('<f2' if self.half else '<f4').tobytes()
        self.data += [array, bytes(-len(array) % 4), state[f'{name}.bias'].tobytes()]
        return self.layer('Convolution', [source], numbers)

    def save(self, folder):
        """Writes net.param and net.bin; returns the first."""
        lines = ['7767517', f'{len(self.lines)} {self.blobs}', *self.lines]
        (folder / 'net.param').write_text('\n'.join(lines) + '\n')
        (folder / 'net.bin').write_bytes(b''.join(self.data))
        return folder / 'net.param'


class Styled(Writer):
    """A writer that does what a style says."""

    def __init__(self, style):
        super().__init__(style.half)
        self.style = style

    def leaky(self, source, state, name):
        """A convolution and a leaky ReLU."""
        if not self.style.apart:
            return self.plain(source, state, name, LEAKY)
        return self.layer('ReLU', [self.plain(source, state, name)], '0=2.000000e-01')

    def plain(self, source, state, name, activation=''):
        """A convolution."""
        return self.conv(source, state, name, activation, self.style.twins)

    def residual(self, a, b):
        """0.2 a + b."""
        if self.style.products:
            return self.sum(self.layer('BinaryOp', [a], '0=2 1=1 2=2.000000e-01'), b)
        scales = ['2.000000e-01', '1.000000e+00']
        order = -1 if self.style.exchanged else 1
        return self.layer('Eltwise', [a, b][::order], f'0=1 -23301=2,{",".join(scales[::order])}')

    def sum(self, a, b):
        """a + b."""
        return self.layer('BinaryOp', [b, a] if self.style.exchanged else [a, b], '0=0')


OPTIMIZED = Style()


def write_rrdb(folder, state, num_blocks, style=OPTIMIZED):
    """An RRDBNet of scale 4."""
    net = Styled(style)
    first = x = net.plain('data', state, 'conv_first')
    for i in range(num_blocks):
        block = x
        for j in range(3):
            outputs = [x]
            for k in range(5):
                source = outputs[0] if k == 0 else net.layer('Concat', outputs)
                name = f'body.{i}.rdb{j + 1}.conv{k + 1}'
                outputs.append((net.leaky if k < 4 else net.plain)(source, state, name))
            x = net.residual(outputs[-1], x)
        x = net.residual(x, block)
    x = net.sum(first, net.plain(x, state, 'conv_body'))
    for name in ('conv_up1', 'conv_up2'):
        x = net.layer('Interp', [x], '0=1 1=2.000000e+00 2=2.000000e+00')
        x = net.leaky(x, state, name)
    clipping = '9=3 -23310=2,0.0,1.0' if style.clip == 'convolution' else ''
    x = net.plain(net.leaky(x, state, 'conv_hr'), state, 'conv_last', clipping)
    if style.clip == 'layer':
        net.layer('Clip', [x], '0=0.0 1=1.0')
    return net.save(folder)


def write_srvgg(folder, state, num_convs, scale, ending=()):
    """An SRVGGNetCompact; `ending` are further layers (kind, numbers) at its end."""
    net = Writer(half=False)
    net.lines.append('Split s 1 2 data data_0 data_1')
    x = 'data_1'
    for i in range(num_convs + 1):
        x = net.conv(x, state, f'body.{2 * i}')
        slope = state[f'body.{2 * i + 1}.weight']
        x = net.layer('PReLU', [x], f'0={len(slope)}')
        net.data.append(slope.tobytes())
    x = net.layer('PixelShuffle', [net.conv(x, state, f'body.{2 * num_convs + 2}')], f'0={scale}')
    base = net.layer('Interp', ['data_0'], f'0=1 1={float(scale)} 2={float(scale)}')
    x = net.layer('BinaryOp', [x, base])
    for kind, numbers in ending:
        x = net.layer(kind, [x], numbers)
    return net.save(folder)


def state_of(module, variables):
    """The state dictionary, float32, that a module of `sr_jax.pretrained` makes of variables."""
    return {name: np.asarray(value) for name, value in module.to_torch(variables).items()}
