"""StyleGAN2's weights by the names of four programs, and what is no such weights."""

import jax
import numpy as np
import one_program
import pytest
from published_states import zeros
from torch_writer import zipped

from sr_jax import __main__ as verbs
from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.layers.switching import Switching, convert_to_switched
from sr_jax.models.stylegan2 import Generator
from sr_jax.models.stylegan2_discriminator import Discriminator
from sr_jax.pretrained import recognition, stylegan2, stylegan2_discriminator

TINY = dict(size=16, channel_base=48, channel_max=7)
GENERATOR = dict(**TINY, latent_size=5, num_mapping=2)
WIDTHS = {4: 7, 8: 6, 16: 3}


@pytest.fixture(scope='module')
def variables():
    """Of both networks, with all that starts as zeros moved away from it."""
    found = {}
    for name, fields in (('stylegan2', GENERATOR), ('stylegan2_discriminator', TINY)):
        model = models.make({'name': name, **fields})
        shapes = jax.eval_shape(model.init, jax.random.key(0), model.example(1))
        rng = np.random.default_rng(0)
        found[name] = jax.tree.map(
            lambda s, rng=rng: rng.normal(size=s.shape).astype(np.float32), shapes
        )
    return found


def rosinality_generator():
    """The names and shapes of rosinality's program, written out from its definition."""
    for i in (1, 2):
        yield from ((f'style.{i}.weight', (5, 5)), (f'style.{i}.bias', (5,)))
    yield 'input.input', (1, 7, 4, 4)

    def modulated(name, inputs, outputs, taps):
        yield f'{name}.conv.weight', (1, outputs, inputs, taps, taps)
        yield f'{name}.conv.modulation.weight', (inputs, 5)
        yield f'{name}.conv.modulation.bias', (inputs,)

    def styled(name, inputs, outputs, up):
        yield from modulated(name, inputs, outputs, 3)
        if up:
            yield f'{name}.conv.blur.kernel', (4, 4)
        yield from ((f'{name}.noise.weight', (1,)), (f'{name}.activate.bias', (outputs,)))

    yield from styled('conv1', 7, 7, False)
    yield from modulated('to_rgb1', 7, 3, 1)
    yield 'to_rgb1.bias', (1, 3, 1, 1)
    for i, side in enumerate((8, 16)):
        yield from styled(f'convs.{2 * i}', WIDTHS[side // 2], WIDTHS[side], True)
        yield from styled(f'convs.{2 * i + 1}', WIDTHS[side], WIDTHS[side], False)
        yield from modulated(f'to_rgbs.{i}', WIDTHS[side], 3, 1)
        yield from ((f'to_rgbs.{i}.bias', (1, 3, 1, 1)), (f'to_rgbs.{i}.upsample.kernel', (4, 4)))
    for i, side in enumerate((4, 8, 8, 16, 16)):
        yield f'noises.noise_{i}', (1, 1, side, side)


def rosinality_discriminator():
    """The same of the discriminator."""

    def layer(name, number, inputs, outputs, taps, bias=True):
        yield f'{name}.{number}.weight', (outputs, inputs, taps, taps)
        if bias:
            yield f'{name}.{number + 1}.bias', (outputs,)

    yield from layer('convs.0', 0, 3, 3, 1)
    for i, (inputs, outputs) in enumerate(((3, 6), (6, 7)), 1):
        yield from layer(f'convs.{i}.conv1', 0, inputs, inputs, 3)
        yield from layer(f'convs.{i}.conv2', 1, inputs, outputs, 3)
        yield from layer(f'convs.{i}.skip', 1, inputs, outputs, 1, False)
        yield from ((f'convs.{i}.{part}.0.kernel', (4, 4)) for part in ('conv2', 'skip'))
    yield from layer('final_conv', 0, 8, 7, 3)
    for i, (inputs, outputs) in enumerate(((7 * 16, 7), (7, 1))):
        yield from (
            (f'final_linear.{i}.weight', (outputs, inputs)),
            (f'final_linear.{i}.bias', (outputs,)),
        )


CASES = [
    ('stylegan2', Generator(**GENERATOR), rosinality_generator),
    ('stylegan2_discriminator', Discriminator(**TINY), rosinality_discriminator),
]


@pytest.mark.parametrize(('name', 'model', 'shapes'), CASES)
@pytest.mark.parametrize('dialect', ['', 'mmagic'])
def test_written_by_others_names_and_read_again(variables, name, model, shapes, dialect):
    state = recognition.foreign_names(name, model, variables[name], 'x', dialect)
    if not dialect:
        assert {key: value.shape for key, value in state.items()} == dict(shapes())
    else:
        named = {key for key in state if not key.endswith('.kernel')}
        ends = ('weight_orig', '.bias', '.input', 'injector.weight')
        assert all(key.endswith(ends) or key.startswith('injected_noise_') for key in named)
    found = recognition.recognize(state, 'x')
    fields = GENERATOR if name == 'stylegan2' else TINY
    assert found.model == {'name': name, **fields}
    jax.tree.map(np.testing.assert_array_equal, found.variables, variables[name])


def nvlabs(state):
    """The names and shapes of NVlabs' `G_ema.state_dict()` for a state of rosinality's."""
    new = {'mapping.w_avg': np.zeros(5, np.float32)}
    for name, value in state.items():
        layer, *rest = name.split('.')
        index, *rest = rest if layer in ('style', 'convs', 'to_rgbs', 'noises') else ('', *rest)
        number = int(index.removeprefix('noise_')) if index else 0
        part = '.'.join(rest)
        inner = {
            **{'conv.weight': 'weight', 'activate.bias': 'bias', 'bias': 'bias'},
            **{f'conv.modulation.{kind}': f'affine.{kind}' for kind in ('weight', 'bias')},
            'noise.weight': 'noise_strength',
        }.get(part)
        block = {'convs': 8 << number // 2, 'to_rgbs': 8 << number}.get(layer, 4)
        kind = {'convs': f'conv{number % 2}', 'conv1': 'conv1'}.get(layer, 'torgb')
        if layer == 'style':
            new[f'mapping.fc{number - 1}.{part}'] = value
        elif layer == 'input':
            new['synthesis.b4.const'] = value[0]
        elif layer == 'noises':
            side = value.shape[-1]
            place = f'b{side}.conv{1 if side == 4 else (number - 1) % 2}'
            new[f'synthesis.{place}.noise_const'] = value[0, 0]
        elif inner:
            lost = {'weight': (0,), 'noise_strength': (0,)}.get(inner, ())
            value = value.reshape(-1) if kind == 'torgb' and inner == 'bias' else value
            new[f'synthesis.b{block}.{kind}.{inner}'] = np.squeeze(value, lost) if lost else value
        else:
            assert part.endswith('kernel')
            new[f'synthesis.b{block}.{kind}.resample_filter'] = value
    return new


def test_arrays_of_nvlabs_are_read(variables):
    state = recognition.foreign_names(*CASES[0][:2], variables['stylegan2'], 'x')
    found = recognition.recognize(nvlabs(state), 'x')
    assert found.model == {'name': 'stylegan2', **GENERATOR}
    jax.tree.map(np.testing.assert_array_equal, found.variables, variables['stylegan2'])


def test_a_discriminator_of_nvlabs_is_read(variables):
    state = stylegan2_discriminator.to_torch(variables['stylegan2_discriminator'])
    names = {'convs.0.0.weight': 'b16.fromrgb.weight', 'convs.0.1.bias': 'b16.fromrgb.bias'}
    for i, side in ((1, 16), (2, 8)):
        for theirs, new in stylegan2_discriminator.NVLABS.items():
            if not theirs.startswith('fromrgb'):
                names[f'convs.{i}.{new}'] = f'b{side}.{theirs}'
    names |= {'final_conv.0.weight': 'b4.conv.weight', 'final_conv.1.bias': 'b4.conv.bias'}
    for i, part in ((0, 'fc'), (1, 'out')):
        names |= {f'final_linear.{i}.{kind}': f'b4.{part}.{kind}' for kind in ('weight', 'bias')}
    renamed = {names[name]: value for name, value in state.items()}
    renamed['b16.conv1.resample_filter'] = np.zeros((4, 4))
    found = recognition.recognize(renamed, 'x')
    assert found.model == {'name': 'stylegan2_discriminator', **TINY}
    expected = variables['stylegan2_discriminator']
    jax.tree.map(np.testing.assert_array_equal, found.variables, expected)


def test_a_checkpoint_of_rosinality_is_read_by_its_average(variables, tmp_path):
    state = recognition.foreign_names(*CASES[0][:2], variables['stylegan2'], 'x')
    moved = {name: value + 1 for name, value in state.items()}
    tree = {'g': moved, 'g_ema': state, 'latent_avg': state['style.1.bias']}
    (tmp_path / '000100.pt').write_bytes(zipped(tree))
    network = networks.load(tmp_path / '000100.pt')
    np.testing.assert_array_equal(
        network.variables['params']['constant'], variables['stylegan2']['params']['constant']
    )


def test_other_channels_other_filters_and_missing_arrays_are_refused(variables):
    state = recognition.foreign_names(*CASES[0][:2], variables['stylegan2'], 'x')
    wide = dict(state) | {'convs.1.conv.weight': np.zeros((1, 5, 5, 3, 3), np.float32)}
    with pytest.raises(InputError, match='5 channels at 8 pixels, where 7 at the most .* make 6'):
        recognition.recognize(wide, 'x')
    blurred = dict(state) | {'convs.0.conv.blur.kernel': np.ones((4, 4), np.float32)}
    with pytest.raises(InputError, match="'convs.0.conv.blur.kernel' is not what these networks"):
        recognition.recognize(blurred, 'x')
    del state['noises.noise_3']
    with pytest.raises(InputError, match=r"missing \['noises.noise_3'\]"):
        recognition.recognize(state, 'x')


def test_a_switched_generator_has_no_original():
    model = Generator(**GENERATOR)
    dense = one_program.init(model, jax.random.key(0), np.zeros((1, 5), np.float32))
    for layer in ('up_8/modulated/conv', 'conv_4/modulated/conv'):
        settings = Switching(layers=(layer,), network='standard', breadth=3)
        switched = convert_to_switched(dense, settings, jax.random.key(1))
        with pytest.raises(InputError, match=f'{layer} is a switched convolution: the original'):
            stylegan2.to_torch(switched)


def test_a_pickle_is_refused_with_the_way_around(tmp_path, capsys):
    (tmp_path / 'ffhq.pkl').write_bytes(b'cos\nsystem\n.')
    assert verbs.main(['convert', str(tmp_path / 'ffhq.pkl'), '--output', 'x.safetensors']) == 1
    said = capsys.readouterr().err
    assert 'a pickle holds code, which is not run here' in said
    assert "torch.save(G_ema.state_dict(), 'generator.pth')" in said


def test_names_of_a_program_are_written_by_convert(variables, tmp_path, capsys):
    network = networks.LoadedNetwork(
        {'name': 'stylegan2', **GENERATOR}, variables['stylegan2'], 'here'
    )
    ours, theirs = tmp_path / 'ours.safetensors', tmp_path / 'theirs.safetensors'
    networks.save(ours, network)
    words = ['convert', str(ours), '--original', '--output', str(theirs), '--names']
    assert verbs.main([*words, 'mmagic']) == 0
    assert networks.load(theirs).model == network.model
    capsys.readouterr()
    assert verbs.main([*words, 'nvlabs']) == 1
    assert 'no names of nvlabs: stylegan2 has those of one, and also' in capsys.readouterr().err


def test_a_generator_is_told_from_others():
    assert not stylegan2.matches(zeros([('conv1.weight', (3, 3))]))
    assert not stylegan2_discriminator.matches(zeros([('convs.0.0.weight', (3, 3, 1, 1))]))
