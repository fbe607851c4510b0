"""Mixtures of networks: by their sum, and what is said of those that cannot be."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_networks import SMALL, drawn

from sr_jax import __main__ as verbs
from sr_jax.errors import InputError
from sr_jax.inference import mixtures, networks

MODEL = SMALL['srvgg']


@pytest.fixture
def pair(tmp_path):
    """Two files of one ancestor, and a third of another."""
    first = drawn(MODEL)
    change = drawn(MODEL, seed=1).variables
    second = jax.tree.map(lambda a, b: a + 0.5 * b, first.variables, change)
    paths = [tmp_path / f'{name}.safetensors' for name in ('a', 'b,c', 'stranger')]
    for path, variables in zip(paths, (first.variables, second, change), strict=True):
        networks.save(path, first._replace(variables=variables))
    return paths


def load(source):
    told = []
    return networks.load(source, report=told.append), told


def test_a_mixture_is_the_sum_of_its_parts(pair):
    (first, _), (second, _) = map(load, pair[:2])
    found, told = load(f'{pair[0]}:0.7,{pair[1]}:0.3')
    assert found.model == first.model and told == []
    jax.tree.map(
        lambda x, a, b: np.testing.assert_allclose(x, 0.7 * a + 0.3 * b, rtol=1e-5, atol=1e-7),
        *(network.variables for network in (found, first, second)),
    )
    three, _ = load(f'{pair[0]}:1.5,{pair[1]}:-.25,{pair[1]}:-2.5e-1')
    jax.tree.map(
        lambda x, a, b: np.testing.assert_allclose(x, 1.5 * a - 0.5 * b, rtol=1e-5, atol=1e-6),
        *(network.variables for network in (three, first, second)),
    )


def test_what_has_no_common_ancestor_is_named(pair):
    _, told = load(f'{pair[0]}:0.5,{pair[2]}:0.5')
    assert len(told) == 1
    assert 'a.safetensors and ' in told[0] and 'stranger.safetensors seem to have no' in told[0]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.text('ab,:.#/', min_size=1), st.floats(-3, 3)), min_size=2, max_size=4)
)
def test_a_mixture_is_parsed_as_it_is_written(parts):
    names = [f'x{name}y' for name, _ in parts]
    numbers = [weight for _, weight in parts[1:]]
    weights = [1 - sum(numbers), *numbers]
    found = mixtures.parse(','.join(f'{n}:{w!r}' for n, w in zip(names, weights, strict=True)))
    assert [name for name, _ in found] == names
    np.testing.assert_allclose([weight for _, weight in found], weights, rtol=1e-9)


def test_thirds_add_up(pair):
    third = pytest.approx(1 / 3)
    assert mixtures.parse('a:.333,b:.333,c:.333') == [('a', third), ('b', third), ('c', third)]
    with pytest.raises(InputError, match='add up to 1, not to 0.8'):
        load(f'{pair[0]}:0.5,{pair[1]}:0.3')
    for no_mixture in ('a', 'a:1', 'a,b', 'a:0.5,b', 'a:x,b:y', ':0.5,:0.5', 'runs/a:0.5'):
        assert mixtures.parse(no_mixture) == []


def test_other_networks_are_named_with_their_difference(pair, tmp_path):
    for key, difference in (('rrdb', 'SRVGGNetCompact and RRDBNet'), ('wide', 'features 7 and 6')):
        model = SMALL['rrdb'] if key == 'rrdb' else {**MODEL, 'features': 6}
        networks.save(tmp_path / 'other.safetensors', drawn(model))
        with pytest.raises(InputError, match=rf'are other networks \({difference}\)'):
            load(f'{pair[0]}:0.5,{tmp_path}/other.safetensors:0.5')


def test_integers_are_those_of_the_first():
    trees = [{'w': np.full((2, 3), i, np.float16), 'n': np.array(i)} for i in (1, 3)]
    found = mixtures.mix(trees, [0.25, 0.75])
    np.testing.assert_array_equal(found['w'], 2.5)
    assert found['w'].dtype == np.float16 and found['n'] == 1


def test_the_strength_of_denoising_is_the_share_of_the_first_of_a_pair(tmp_path):
    general, keeping = (
        tmp_path / f'{name}.pth' for name in (mixtures.GENERAL, mixtures.KEEPING_NOISE)
    )
    with pytest.raises(InputError, match=r'realesr-general-x4v3\.pth is missing'):
        mixtures.mix_denoising(str(keeping), 0.3)
    general.touch()
    keeping.touch()
    for given_file in (general, keeping):
        parts = mixtures.parse(mixtures.mix_denoising(str(given_file), 0.3))
        assert parts == [(str(general), 0.3), (str(keeping), 0.7)]
    assert mixtures.mix_denoising(str(general), 1.0) == str(general)
    assert mixtures.mix_denoising(str(general), 0) == str(keeping)
    with pytest.raises(InputError, match='of which other.pth is neither'):
        mixtures.mix_denoising('other.pth', 0.3)


def test_the_verb_takes_a_strength_from_0_to_1(tmp_path, capsys):
    weights = f'--weights={tmp_path}/{mixtures.GENERAL}.pth'
    Image.new('RGB', (3, 2)).save(tmp_path / 'x.png')
    words = ['upscale', str(tmp_path / 'x.png'), f'--output={tmp_path}/out', weights, '--denoise']
    for strength, message in (('1.5', '--denoise 1.5: it must be from 0 to 1'), ('0.5', 'missing')):
        assert verbs.main([*words, strength]) != 0
        assert message in capsys.readouterr().err


def test_arrays_that_are_not_finite_are_named(tmp_path, monkeypatch):
    net = drawn(MODEL)
    net.variables['params']['conv_last']['bias'][3] = np.inf
    networks.save(tmp_path / 'w.safetensors', net)
    with pytest.raises(InputError, match=r'w\.safetensors: params/conv_last/bias holds numbers'):
        load(tmp_path / 'w.safetensors')
    monkeypatch.setattr(networks, '_load_run', lambda *_: net._replace(source='runs/x'))
    with pytest.raises(InputError, match='runs/x: params/conv_last/bias holds numbers'):
        load(tmp_path)
