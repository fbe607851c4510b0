"""State dictionaries of published networks: the originals' names and shapes, no numbers in them.

Written out from the originals' own definitions, without the readers of `sr_jax.pretrained`, so that
a reader which takes one size for another finds none of them. Arrays are zeros of stride 0: those of
a whole network take no memory.
"""

import itertools
from collections.abc import Iterator
from functools import partial

import jax
import numpy as np
from flax import traverse_util

from sr_jax.models import inception as inception_model

VGG_WIDTHS = {  # of the convolutions of each of the five blocks
    16: ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def published(family):
    """The state dictionary of one of FAMILIES."""
    return zeros(FAMILIES[family][2]())


def zeros(shapes):
    """The state dictionary of (name, shape) pairs, each name once."""
    pairs = list(shapes)
    state = {name: np.broadcast_to(np.float32(0), shape) for name, shape in pairs}
    assert len(state) == len(pairs)
    return state


def conv(name, inputs, outputs, taps=3, bias=True) -> Shapes:
    yield f'{name}.weight', (outputs, inputs, taps, taps)
    if bias:
        yield f'{name}.bias', (outputs,)


def linear(name, inputs, outputs) -> Shapes:
    yield f'{name}.weight', (outputs, inputs)
    yield f'{name}.bias', (outputs,)


RRDB_NAMES = {  # by generation: the layer of a block, then the others
    'basicsr': ('body.{}.rdb{}.conv{}', 'conv_first conv_body conv_up{} conv_hr conv_last'),
    '2019': ('RRDB_trunk.{}.RDB{}.conv{}', 'conv_first trunk_conv upconv{} HRconv conv_last'),
    '2018': ('model.1.sub.{}.RDB{}.conv{}.0', ''),
}


def rrdb(
    generation,
    channels=3,
    features=64,
    num_blocks=23,
    growth=32,
    num_ups=2,
    made=3,
    plus=False,
) -> Shapes:
    """RRDBNet of BasicSR (2020), of xinntao/ESRGAN (2019), or before it was renamed (2018).

    With `plus`, of ncarraz/ESRGANplus, whose names are of 2018.
    """
    layer, others = RRDB_NAMES[generation]
    if generation == '2018':
        last = f'model.{3 * num_ups + 2} model.{3 * num_ups + 4}'
        others = f'model.0 model.1.sub.{num_blocks} model.{{}} {last}'
    first, body, up, hr, last = others.split()
    yield from conv(first, channels, features)
    for i, j in np.ndindex(num_blocks, 3):
        for k in range(5):
            outputs = growth if k < 4 else features
            name = layer.format(i, j + 1, k + 1)
            yield from conv(name, features + k * growth, outputs)
        if plus:
            shortcut = layer.format(i, j + 1, '1x1').removesuffix('.0')
            yield from conv(shortcut, features, growth, 1, bias=False)
    yield from conv(body, features, features)
    for i in range(num_ups):
        yield from conv(up.format(3 * (i + 1) if generation == '2018' else i + 1), *[features] * 2)
    yield from conv(hr, features, features)
    yield from conv(last, features, made)


def srresnet(scale, features=64, num_blocks=16) -> Shapes:
    """BasicSR's MSRResNet."""
    yield from conv('conv_first', 3, features)
    for i, j in np.ndindex(num_blocks, 2):
        yield from conv(f'body.{i}.conv{j + 1}', features, features)
    for i in range(2 if scale == 4 else 1):
        yield from conv(f'upconv{i + 1}', features, features * (9 if scale == 3 else 4))
    yield from conv('conv_hr', features, features)
    yield from conv('conv_last', features, 3)


def srvgg(scale, features=64, num_convs=32) -> Shapes:
    """Real-ESRGAN's SRVGGNetCompact with PReLUs."""
    for i in range(num_convs + 1):
        yield from conv(f'body.{2 * i}', features if i else 3, features)
        yield f'body.{2 * i + 1}.weight', (features,)
    yield from conv(f'body.{2 * num_convs + 2}', features, 3 * scale**2)


def act_norm(name, channels) -> Shapes:
    yield f'{name}.bias', (1, channels, 1, 1)
    yield f'{name}.logs', (1, channels, 1, 1)


def zero_conv(name, inputs, outputs) -> Shapes:
    yield from conv(name, inputs, outputs)
    yield f'{name}.logs', (outputs, 1, 1)


def coupling_net(name, inputs, outputs, hidden) -> Shapes:
    for i, (channels, taps) in enumerate(((inputs, 3), (hidden, 1))):
        yield f'{name}.{2 * i}.weight', (hidden, channels, taps, taps)
        yield from act_norm(f'{name}.{2 * i}.actnorm', hidden)
    yield from zero_conv(f'{name}.4', hidden, 2 * outputs)


def srflow(
    scale=4,
    features=64,
    num_blocks=23,
    growth=32,
    stacked=4,
    steps=16,
    hidden=64,
    transitions=2,
    encoder='2019',
) -> Shapes:
    """SRFlow of andreas128/SRFlow: a squeeze, steps without a coupling, steps with one, a split."""
    levels, maps = {4: 3, 8: 4}[scale], features * (1 + stacked)
    for name, shape in rrdb(encoder, 3, features, num_blocks, growth, levels - 1):
        yield f'RRDB.{name}', shape
    number, channels = 0, 3
    for level in range(levels):
        channels *= 4
        for i in range(transitions + steps):
            number += 1
            name = f'flowUpsamplerNet.layers.{number}'
            yield from act_norm(f'{name}.actnorm', channels)
            yield f'{name}.invconv.weight', (channels, channels)
            if i >= transitions:
                kept = channels // 2
                yield from coupling_net(
                    f'{name}.affine.fAffine', kept + maps, channels - kept, hidden
                )
                yield from coupling_net(f'{name}.affine.fFeatures', maps, channels, hidden)
        number += 1  # the split, or the next squeeze
        if level < levels - 2:
            name = f'flowUpsamplerNet.layers.{number}.conv'
            yield from zero_conv(name, channels // 2, channels)
            channels //= 2
            number += 1
    yield from conv('flowUpsamplerNet.f.0', maps, 3)  # made there and never called


def vgg(depth) -> Shapes:
    """torchvision's VGG with its classifier."""
    index, inputs = 0, 3
    for block in VGG_WIDTHS[depth]:
        for width in block:
            yield from conv(f'features.{index}', inputs, width)
            index, inputs = index + 2, width
        index += 1
    for i, (inputs, outputs) in enumerate(((512 * 49, 4096), (4096, 4096), (4096, 1000))):
        yield from linear(f'classifier.{3 * i}', inputs, outputs)


def alexnet() -> Shapes:
    """torchvision's AlexNet with its classifier."""
    inputs = 3
    for index, width, taps in ((0, 64, 11), (3, 192, 5), (6, 384, 3), (8, 256, 3), (10, 256, 3)):
        yield from conv(f'features.{index}', inputs, width, taps)
        inputs = width
    for i, *sizes in ((1, 256 * 36, 4096), (4, 4096, 4096), (6, 4096, 1000)):
        yield from linear(f'classifier.{i}', *sizes)


def vqvae(
    upsampling, channels=128, num_blocks=2, res_channels=32, sizes=(512, 1024), dim=64
) -> Shapes:
    """VQ-VAE-2 of rosinality ('transposed') or DL-Art-School ('nearest'); sizes: top, bottom."""
    taps, half = 4 if upsampling == 'transposed' else 5, channels // 2

    def blocks(name, first) -> Shapes:
        for i in range(first, first + num_blocks):
            yield from conv(f'{name}.blocks.{i}.conv.1', channels, res_channels)
            yield from conv(f'{name}.blocks.{i}.conv.3', res_channels, channels, 1)

    def up(name, inputs, outputs) -> Shapes:
        if upsampling == 'nearest':
            yield from conv(f'{name}.conv', inputs, outputs, taps)
        else:
            yield f'{name}.weight', (inputs, outputs, taps, taps)
            yield f'{name}.bias', (outputs,)

    def decoder(name, inputs, widths) -> Shapes:
        yield from conv(f'{name}.blocks.0', inputs, channels)
        yield from blocks(name, 1)
        for i, pair in enumerate(itertools.pairwise((channels, *widths))):
            yield from up(f'{name}.blocks.{num_blocks + 2 + 2 * i}', *pair)

    yield from conv('enc_b.blocks.0', 3, half, taps)
    yield from conv('enc_b.blocks.2', half, channels, taps)
    yield from conv('enc_b.blocks.4', channels, channels)
    yield from blocks('enc_b', 5)
    yield from conv('enc_t.blocks.0', channels, half, taps)
    yield from conv('enc_t.blocks.2', half, channels)
    yield from blocks('enc_t', 3)
    yield from conv('quantize_conv_t', channels, dim, 1)
    yield from decoder('dec_t', dim, (dim,))
    yield from conv('quantize_conv_b', dim + channels, dim, 1)
    yield from up('upsample_t', dim, dim)
    yield from decoder('dec', 2 * dim, (half, 3))
    for name, size in zip(('quantize_t', 'quantize_b'), sizes, strict=True):
        yield from ((f'{name}.{k}', (dim, size)) for k in ('embed', 'embed_avg'))
        yield f'{name}.cluster_size', (size,)


def vgg_discriminator(size, features=64, norm='batch') -> Shapes:
    """BasicSR's VGGStyleDiscriminator of 128 or 256 pixels; with group norm, DL-Art-School's."""
    inputs = 3
    for i, width in enumerate((1, 2, 4, 8, 8) + (8,) * (size == 256)):
        for j, taps in enumerate((3, 4)):
            plain = i == j == 0
            yield from conv(f'conv{i}_{j}', inputs, width * features, taps, plain)
            inputs = width * features
            if not plain:
                parts = ('weight', 'bias') + ('running_mean', 'running_var') * (norm == 'batch')
                yield from ((f'bn{i}_{j}.{part}', (inputs,)) for part in parts)
                if norm == 'batch':
                    yield f'bn{i}_{j}.num_batches_tracked', ()
    yield from linear('linear1', inputs * 16, 100)
    yield from linear('linear2', 100, 1)


def unet_discriminator(features=64) -> Shapes:
    """Real-ESRGAN's UNetDiscriminatorSN."""
    yield from conv('conv0', 3, features)
    down, up = ((1, 2, 4), (2, 4, 4), (4, 8, 4)), ((8, 4, 3), (4, 2, 3), (2, 1, 3))
    widths = (*down, *up, (1, 1, 3), (1, 1, 3))
    for i, (inputs, outputs, taps) in enumerate(widths, 1):
        inputs, outputs = inputs * features, outputs * features
        yield f'conv{i}.weight_orig', (outputs, inputs, taps, taps)
        yield f'conv{i}.weight_u', (outputs,)
        yield f'conv{i}.weight_v', (inputs * taps**2,)
    yield from conv('conv9', features, 1)


def inception() -> Shapes:
    """pt_inception-2015-12-05, whose names of layers are ours."""
    model = inception_model.Model()
    params = jax.eval_shape(model.init, jax.random.key(0), model.example(1))['params']
    for path, leaf in traverse_util.flatten_dict(params).items():
        if path[-1] != 'kernel':
            continue
        height, width, inputs, outputs = leaf.shape
        layer = '.'.join(path[:-2])
        yield f'{layer}.conv.weight', (outputs, inputs, height, width)
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            yield f'{layer}.bn.{part}', (outputs,)
        yield f'{layer}.bn.num_batches_tracked', ()
    yield from linear('fc', 2048, 1008)


# Every family and generation of names: the network, its fields, what gives its names and shapes.
RRDB = dict(scale=4, features=64, num_blocks=23, growth=32)
FLOW = dict(stacked=4, steps=16, hidden=64, transitions=2)
VQ = dict(
    channels=128,
    num_res_blocks=2,
    res_channels=32,
    codebook_size=512,
    bottom_codebook_size=1024,
    codebook_dim=64,
)
def normed(name, inputs, outputs, height=1, width=1, bias=True) -> Shapes:
    """A convolution under PyTorch's weight norm."""
    if bias:
        yield f'{name}.bias', (outputs,)
    yield f'{name}.weight_g', (outputs, 1, 1, 1)
    yield f'{name}.weight_v', (outputs, inputs, height, width)


def gated(name, inputs, hidden, taps=1, inner='conv') -> Shapes:
    yield from normed(f'{name}.conv1.{inner}', inputs, hidden, taps, taps)
    yield from normed(f'{name}.conv2.{inner}', hidden, 2 * inputs, taps, taps)


def pixelsnail(attention, side, blocks=4, features=256, codes=512) -> Shapes:
    """The top network of VQ-VAE-2 of rosinality, with attention, or the bottom one, without."""
    yield 'background', (1, 2, side, side)
    yield from normed('horizontal.conv.conv', codes, features, 2, 5)
    yield from normed('vertical.conv.conv', codes, features, 3, 2)
    for i in range(blocks):
        for j in range(4):
            name = f'blocks.{i}.resblocks.{j}'
            yield from gated(name, features, features, 5, 'conv.conv')
            if not attention:
                yield from normed(f'{name}.condition.conv', features, 2 * features, bias=False)
        if not attention:
            yield from normed(f'blocks.{i}.out.conv', features + 2, features)
            continue
        yield from gated(f'blocks.{i}.key_resblock', 2 * features + 2, features)
        yield from gated(f'blocks.{i}.query_resblock', features + 2, features)
        for name, inputs in (('query', features + 2), ('key', 2 * features + 2)):
            yield from scaled(f'blocks.{i}.causal_attention.{name}', inputs, features // 2)
        value = f'blocks.{i}.causal_attention.value'
        yield from scaled(value, 2 * features + 2, features // 2)
        yield from gated(f'blocks.{i}.out_resblock', features, features)
        yield from normed(f'blocks.{i}.out_resblock.aux_conv.conv', features // 2, features)
    if not attention:
        yield from normed('cond_resnet.blocks.0.conv', codes, features, 3, 3)
        for i in range(3):
            yield from gated(f'cond_resnet.blocks.{i + 1}', features, features, 3)
    yield from normed('out.1.conv', features, codes)


def scaled(name, inputs, outputs) -> Shapes:
    """A linear layer under PyTorch's weight norm."""
    yield f'{name}.bias', (outputs,)
    yield f'{name}.weight_g', (outputs, 1)
    yield f'{name}.weight_v', (outputs, inputs)


SNAIL = dict(codes=512, channels=256, kernel_size=5, num_blocks=4, num_res_blocks=4)
SNAIL |= dict(res_channels=256, num_out_blocks=0)
ABOVE = dict(num_condition_blocks=3, condition_codes=512, condition_channels=256)
ABOVE |= dict(condition_kernel=3)
def tecogan(scale=4, features=64, num_blocks=16, motion_features=32) -> Shapes:
    """TecoGAN's generator and its flow network: TensorFlow's names and layouts."""
    unit, flow = 'generator/generator_unit', 'fnet/autoencode_unit'

    def layer(name, inputs, outputs, kind='Conv'):
        ends = (inputs, outputs) if kind == 'Conv' else (outputs, inputs)
        yield f'{name}/{kind}/weights', (3, 3, *ends)
        yield f'{name}/{kind}/biases', (outputs,)

    yield from layer(f'{unit}/input_stage/conv', 3 + 3 * scale**2, features)
    for i, j in np.ndindex(num_blocks, 2):
        yield from layer(f'{unit}/resblock_{i + 1}/conv_{j + 1}', features, features)
    for i in range(scale.bit_length() - 1):
        name = f'{unit}/conv_tran2highres/conv_tran{i + 1}'
        yield from layer(name, features, features, 'Conv2d_transpose')
    yield from layer(f'{unit}/output_stage/conv', features, 3)
    inputs = 6
    for i, widening in enumerate((1, 2, 4, 8, 4, 2)):
        part = f'{flow}/{"decoder" if i > 2 else "encoder"}_{i % 3 + 1}'
        outputs = widening * motion_features
        yield from layer(f'{part}/conv_1', inputs, outputs)
        yield from layer(f'{part}/conv_2', outputs, outputs)
        inputs = outputs
    yield from layer(f'{flow}/output_stage/conv1', inputs, motion_features)
    yield from layer(f'{flow}/output_stage/conv2', motion_features, 2)


FAMILIES = {
    'tecogan': (
        'frvsr',
        dict(scale=4, features=64, num_blocks=16, motion_features=32),
        tecogan,
    ),
    'realesrgan-x4plus': ('rrdb', RRDB, partial(rrdb, 'basicsr')),
    'realesrgan-x2plus': ('rrdb', RRDB | dict(scale=2), partial(rrdb, 'basicsr', 12)),
    'realesrgan-x4plus-anime-6B': (
        'rrdb',
        RRDB | dict(num_blocks=6),
        partial(rrdb, 'basicsr', num_blocks=6),
    ),
    'esrgan-2019': ('rrdb', RRDB, partial(rrdb, '2019')),
    'esrgan-2018': ('rrdb', RRDB, partial(rrdb, '2018')),
    **{
        f'esrgan-2018-x{scale}': (
            'rrdb',
            RRDB | dict(scale=scale, unshuffle=False),
            partial(rrdb, '2018', num_ups=scale - 1),
        )
        for scale in (1, 2)
    },
    **{
        f'esrgan-2018-x{scale}': (
            'rrdb',
            RRDB | dict(scale=scale),
            partial(rrdb, '2018', num_ups=scale.bit_length() - 1),
        )
        for scale in (8, 16)
    },
    **{
        f'esrgan-2018-{given}-{made}': (
            'rrdb',
            RRDB | {k: n for k, n in (('in_channels', given), ('out_channels', made)) if n != 3},
            partial(rrdb, '2018', given, made=made),
        )
        for given, made in ((1, 1), (4, 4), (1, 3), (3, 1), (4, 3))
    },
    'esrgan-lite': (
        'rrdb',
        dict(scale=1, features=32, num_blocks=12, growth=16, unshuffle=False),
        partial(rrdb, '2018', 3, 32, 12, 16, 0),
    ),
    'esrgan-2018-of-realesrgan-x2plus': ('rrdb', RRDB | dict(scale=2), partial(rrdb, '2018', 12)),
    'esrgan-plus': ('rrdb', RRDB | dict(plus=True), partial(rrdb, '2018', plus=True)),
    'bsrgan-x2': (
        'rrdb',
        RRDB | dict(scale=2, unshuffle=False),
        partial(rrdb, '2019', num_ups=1),
    ),
    'realesrgan-x1-gray': (
        'rrdb',
        RRDB | dict(scale=1, in_channels=1, out_channels=1),
        partial(rrdb, 'basicsr', 16, made=1),
    ),
    'rrdb-x8-celeba': (
        'rrdb',
        RRDB | dict(scale=8, num_blocks=8),
        partial(rrdb, '2019', num_blocks=8, num_ups=3),
    ),
    'realesr-general-x4v3': ('srvgg', dict(scale=4, features=64, num_convs=32), partial(srvgg, 4)),
    'realesr-animevideov3': (
        'srvgg',
        dict(scale=4, features=64, num_convs=16),
        partial(srvgg, 4, num_convs=16),
    ),
    **{
        f'srresnet-x{scale}': (
            'srresnet',
            dict(scale=scale, features=64, num_blocks=16),
            partial(srresnet, scale),
        )
        for scale in (2, 3, 4)
    },
    'srflow-x4': ('srflow', RRDB | FLOW, srflow),
    'srflow-x8': (
        'srflow',
        RRDB | FLOW | dict(scale=8, num_blocks=8),
        partial(srflow, 8, num_blocks=8),
    ),
    'srflow-x4-modern-encoder': ('srflow', RRDB | FLOW, partial(srflow, encoder='basicsr')),
    'vgg16': ('vgg', dict(depth=16), partial(vgg, 16)),
    'vgg19': ('vgg', dict(depth=19), partial(vgg, 19)),
    'alexnet': ('alexnet', {}, alexnet),
    'vqvae-transposed': ('vqvae', VQ | dict(upsampling='transposed'), partial(vqvae, 'transposed')),
    'vqvae-nearest': ('vqvae', VQ | dict(upsampling='nearest'), partial(vqvae, 'nearest')),
    **{
        f'vgg-discriminator-{size}-{norm}': (
            'discriminators',
            dict(form='vgg', features=64, size=size, norm=norm),
            partial(vgg_discriminator, size, norm=norm),
        )
        for size, norm in ((128, 'batch'), (256, 'batch'), (128, 'group'))
    },
    'unet-discriminator': (
        'discriminators',
        dict(form='unet', features=64),
        unet_discriminator,
    ),
    'inception': ('inception', {}, inception),
    'pixelsnail-top': (
        'pixelsnail',
        SNAIL | dict(height=32, width=32, attention=True),
        partial(pixelsnail, True, 32),
    ),
    'pixelsnail-bottom': (
        'pixelsnail',
        SNAIL | ABOVE | dict(height=64, width=64, attention=False),
        partial(pixelsnail, False, 64),
    ),
}
