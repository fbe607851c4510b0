"""Pins the number of parameters of every network."""

import functools

import jax
import pytest

from sr_jax.layers.switching import Switching
from sr_jax.models import alexnet, inception, vgg
from sr_jax.models.discriminators import Discriminator
from sr_jax.models.resnet import ResNet
from sr_jax.models.rrdb import RRDBNet
from sr_jax.models.srresnet import SRResNet
from sr_jax.models.srvgg import SRVGGNetCompact
from sr_jax.models.stylegan2 import Generator
from sr_jax.models.stylegan2_discriminator import Discriminator as StyleDiscriminator
from sr_jax.models.switched_sr import SwitchedSR
from sr_jax.models.vqvae import VQVAE

CASES = [
    (VQVAE(), 1_388_867),
    (VQVAE(upsampling='nearest', bottom_codebook_size=1024), 1_724_099),
    (VQVAE(channels=64, res_channels=16), 493_859),
    (vgg.Model(('relu5_3',), depth=16), 14_714_688),
    (vgg.Model(('conv5_4',), depth=19), 20_024_384),
    (vgg.Model(('relu1_1',)), 1_792),
    (alexnet.Model(('relu5_1',)), 2_469_696),
    (inception.Model(), 21_785_568),
    (SRResNet(), 1_517_571),
    (RRDBNet(), 16_697_987),
    (SRVGGNetCompact(), 1_213_296),
    (SwitchedSR(), 1_649_587),
    (SwitchedSR(switching=Switching()), 298_947),
    (Discriminator('vgg', size=128), 14_499_401),
    (Discriminator('vgg', size=256), 21_055_049),
    (Discriminator('vgg', size=128, norm='group'), 14_499_401),
    (Discriminator('unet'), 4_376_897),
    (Generator(size=1024), 30_370_060),
    (StyleDiscriminator(size=1024), 29_012_513),
    (ResNet(18), 11_689_512),
    (ResNet(34), 21_797_672),
    (ResNet(50), 25_557_032),
]


@functools.cache
def counted(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0), model.example(1))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes['params']))


@pytest.mark.parametrize(('model', 'count'), CASES)
def test_parameter_count(model, count):
    assert counted(model) == count


def conv(inputs, outputs, taps=3, bias=True):
    """Parameters of a convolution."""
    return taps**2 * inputs * outputs + bias * outputs


def dense_block(features=64, growth=32):
    grown = sum(conv(features + i * growth, growth) for i in range(4))
    return grown + conv(features + 4 * growth, features)


def vgg(widths, channels=64):
    total = conv(3, 64) + conv(64, 64, 4, bias=False) + 2 * 64
    for width in widths:
        total += conv(channels, width, bias=False) + conv(width, width, 4, bias=False) + 4 * width
        channels = width
    return total + 100 * 16 * channels + 100 + 101


FORMULAS = [
    (SRResNet(), conv(3, 64) + 33 * conv(64, 64) + 2 * conv(64, 256) + conv(64, 3)),
    (SRResNet(3), conv(3, 64) + 33 * conv(64, 64) + conv(64, 576) + conv(64, 3)),
    (RRDBNet(), conv(3, 64) + 69 * dense_block() + 4 * conv(64, 64) + conv(64, 3)),
    (RRDBNet(2), conv(12, 64) + 69 * dense_block() + 4 * conv(64, 64) + conv(64, 3)),
    (SRVGGNetCompact(), conv(3, 64) + 32 * conv(64, 64) + 33 * 64 + conv(64, 48)),
    (SwitchedSR(switching=Switching()), conv(3, 64) + 8 * conv(64, 64) + conv(64, 3)),
    (Discriminator('vgg', size=128), vgg((128, 256, 512, 512))),
    (Discriminator('vgg', size=256), vgg((128, 256, 512, 512, 512))),
    (
        Discriminator('unet'),
        conv(3, 64)
        + sum(conv(a, 2 * a, 4, bias=False) for a in (64, 128, 256))
        + sum(conv(2 * a, a, bias=False) for a in (64, 128, 256))
        + 2 * conv(64, 64, bias=False)
        + conv(64, 1),
    ),
]


@pytest.mark.parametrize(('model', 'formula'), FORMULAS)
def test_parameter_count_by_formula(model, formula):
    assert counted(model) == formula
