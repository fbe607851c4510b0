"""Writes networks as ncnn's pairs of files, for the tests of reading them."""

import numpy as np

LEAKY = '9=2 -23310=1,2.000000e-01'


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

    def conv(self, source, state, name, activation=''):
        """Adds a convolution with its weights."""
        weight = state[f'{name}.weight']
        numbers = f'0={len(weight)} 1=3 4=1 5=1 6={weight.size} {activation}'
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


def write_rrdb(folder, state, num_blocks, half=False):
    """An RRDBNet of scale 4."""
    net = Writer(half)
    first = x = net.conv('data', state, 'conv_first')
    for i in range(num_blocks):
        block = x
        for j in range(3):
            outputs = [x]
            for k in range(5):
                source = outputs[0] if k == 0 else net.layer('Concat', outputs)
                name = f'body.{i}.rdb{j + 1}.conv{k + 1}'
                outputs.append(net.conv(source, state, name, LEAKY if k < 4 else ''))
            residual = '0=1 -23301=2,2.000000e-01,1.000000e+00'
            x = net.layer('Eltwise', [outputs[-1], x], residual)
        x = net.layer('Eltwise', [x, block], residual)
    x = net.layer('BinaryOp', [first, net.conv(x, state, 'conv_body')])
    for name in ('conv_up1', 'conv_up2'):
        x = net.layer('Interp', [x], '0=1 1=2.000000e+00 2=2.000000e+00')
        x = net.conv(x, state, name, LEAKY)
    net.conv(net.conv(x, state, 'conv_hr', LEAKY), state, 'conv_last')
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
