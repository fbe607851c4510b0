"""Every network has what may be asked of any, and enlargers what may be asked of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.inference.programs import arrange
from sr_jax.layers.repeated import Repetition, repeating
from sr_jax.models.protocols import (
    Enlarger,
    Gridded,
    Limited,
    Looping,
    Network,
    Patchwise,
    Recurrent,
    Sampler,
    Switchable,
)

NETWORK = """
import flax.linen as nn
from sr_jax.models.protocols import image_batch


class Model(nn.Module):
    {}
    scale: int = 2
    multiple = 3
    input_size = 15
    halo = None

    def example(self, n):
        return image_batch(n, 15, 15)

    def __call__(self, x, train=False):
        return x
"""


@pytest.fixture
def novel(tmp_path, monkeypatch):
    """A function that adds a network to the package, with or without its repeated fields."""
    monkeypatch.setattr(models, '__path__', [*models.__path__, str(tmp_path)])

    def add(name, line):
        (tmp_path / f'{name}.py').write_text(NETWORK.format(line))

    return add


def short(name):
    """A network of its defaults, but with little repeated."""
    module = models.find(name)()
    fewer = {field: min(getattr(module, field), 2) for field in module.REPEATED}
    return module.clone(**fewer)


@functools.cache
def shapes(module):
    """The shapes of its variables; traced once for all tests."""
    return jax.eval_shape(module.init, jax.random.key(0), module.example(1))


@pytest.mark.parametrize('name', models.names())
def test_every_network_can_be_made_without_fields_and_has_an_example(name):
    assert isinstance(models.find(name)(), Network)
    module = short(name)
    two, one = module.example(2), module.example(1)
    assert (two.shape[0], two.shape[1:]) == (2, one.shape[1:])
    assert shapes(module)['params']


@pytest.mark.parametrize('name', models.names())
def test_variables_and_what_is_made_are_float32_where_jax_has_float64(name):
    module = short(name)
    with jax.enable_x64(True):
        found = jax.eval_shape(module.init_with_output, jax.random.key(0), module.example(1))
    types = {leaf.dtype.name for leaf in jax.tree.leaves(found)}
    assert types - {'int32', 'bool'} == {'float32'}


@pytest.mark.parametrize('name', models.names())
def test_what_is_repeated_are_fields_and_all_that_number_layers(name):
    model = models.find(name)
    fields = {field.name for field in dataclasses.fields(model)}
    assert set(model.REPEATED) <= fields
    assert {field for field in fields if field.startswith('num_')} <= set(model.REPEATED)
    assert models.repeated_fields(name) == model.REPEATED


def arrays(module, **fields):
    return len(jax.tree.leaves(shapes(module.clone(**fields))))


@pytest.mark.parametrize('name', models.names())
def test_a_repetition_more_has_more_arrays(name):
    module = short(name)
    for field in module.REPEATED:
        if field != 'stacked':  # of that, only the shapes grow: a layer looks at more of them
            number = max(getattr(module, field), 2)
            assert arrays(module, **{field: number + 1}) > arrays(module, **{field: number})


@pytest.mark.parametrize('name', models.names(Enlarger))
def test_enlargers_keep_their_promises_about_sizes(name):
    assert isinstance(models.find(name)(), Enlarger)
    module = short(name)
    n, height, width, _ = (small := module.example(3)).shape
    assert height % module.multiple == width % module.multiple == 0
    assert module.input_size in (None, height)
    variables = shapes(module)
    large = jax.eval_shape(module.apply, variables, small)
    assert large.shape == (n, height * module.scale, width * module.scale, 3)
    if isinstance(module, Patchwise):
        assert module.patch == 0
    if isinstance(module, Gridded):
        assert module.multiple == 1
        assert height % module.grid == width % module.grid == 0
    if isinstance(module, Limited):
        least, most = module.open_sides
        assert least <= min(height, width) <= max(height, width) <= most
    if isinstance(module, Sampler):
        latents = tuple(
            jax.ShapeDtypeStruct((n, *shape), jnp.float32)
            for shape in module.latent_shapes(height, width)
        )

        def sample(variables, x, latents):
            return module.apply(variables, x, latents, method='sample')

        assert jax.eval_shape(sample, variables, small, latents).shape == large.shape


def test_which_networks_enlarge_and_which_draw():
    transformers = ['atd', 'dat', 'drct', 'hat', 'omnisr', 'rgt', 'srformer', 'swinir']
    convolutional = ['mosr', 'rcan', 'realplksr', 'rrdb', 'span', 'srflow', 'srresnet', 'srvgg']
    others = ['frvsr', 'glean', 'glean_dlas', 'resnet_sr', 'switched_sr']
    assert models.names(Enlarger) == sorted([*transformers, *convolutional, *others])
    assert models.names(Recurrent) == ['frvsr']
    assert models.names(Limited) == ['rgt']
    assert models.names(Gridded) == ['drct', 'srformer', 'swinir']
    assert models.names(Sampler) == ['srflow']
    assert models.names(Patchwise) == ['rrdb']
    assert models.names(Looping) == ['glean', 'glean_dlas', 'rrdb', 'srflow']


@pytest.mark.parametrize('name', models.names(Looping))
def test_equal_blocks_can_be_in_one_tree(name):
    module = short(name).clone(num_blocks=3)
    small, drawn = module.example(1), shapes(module)
    variables = jax.tree.map(lambda x: np.broadcast_to(np.zeros((), x.dtype), x.shape), drawn)
    arranged = arrange(variables, module, as_loop=True)
    counts = [len(jax.tree.leaves(tree)) for tree in (variables, arranged)]
    path, names = list(module.loops.items())[-1]
    blocks = functools.reduce(lambda tree, key: tree[key], path, variables['params'])
    in_one = len(jax.tree.leaves(blocks[names[0]]))
    in_a_dense_one = len(jax.tree.leaves(blocks[names[0]]['rdb_0']))
    assert counts[0] - counts[1] == 3 * in_one - in_a_dense_one
    with repeating(Repetition.LOOP):
        whole, together = (
            jax.eval_shape(functools.partial(module.apply, given), small)
            for given in (variables, arranged)
        )
    assert together.shape == whole.shape


def test_which_networks_have_switched_convolutions():
    images = ['deeplab', 'fcos', 'pixpro', 'resnet', 'resnet_sr', 'rrdb', 'stylegan2']
    assert models.names(Switchable) == [*images, 'switched_sr', 'unet', 'vqvae']


@pytest.mark.parametrize('name', ['rrdb', 'srflow'])
def test_a_scale_that_is_none_is_named_whatever_is_asked(name):
    module = models.make({'name': name, 'scale': 3})
    for member in ('multiple', 'halo'):
        with pytest.raises(InputError, match='not by 3: change scale'):
            getattr(module, member)


def test_a_file_more_is_a_network_more(novel):
    novel('novel', 'REPEATED = ()')
    assert 'novel' in models.names() and 'novel' in models.names(Enlarger)
    assert models.make({'name': 'novel', 'scale': 5}).scale == 5


def test_a_network_that_lacks_what_all_have_is_named(novel):
    novel('unfinished', '')
    with pytest.raises(InputError, match=r'unfinished: its Model lacks REPEATED, .*protocols'):
        models.make({'name': 'unfinished'})


def numbers(name):
    """The fields of a network that are whole numbers, or several of them, and their defaults."""
    module = models.find(name)()
    fields = {field.name: getattr(module, field.name) for field in dataclasses.fields(module)}

    def whole(value):
        return type(value[0] if isinstance(value, tuple) and value else value) is int

    return {field: value for field, value in fields.items() if whole(value)}


@pytest.mark.parametrize('name', models.names())
def test_no_number_of_a_network_is_negative(name):
    for field, value in numbers(name).items():
        wrong = (*value[:-1], -3) if isinstance(value, tuple) else -3
        message = rf'model\.{field}.* is -3, but must be (at least|from) '
        with pytest.raises(InputError, match=message):
            models.make({'name': name, field: wrong})


@pytest.mark.parametrize('name', models.names())
def test_sizes_are_at_least_one_and_repetitions_may_be_none(name):
    model, found = models.find(name), numbers(name)
    limits = getattr(model, 'LIMITS', {})
    assert set(limits) <= {field.name for field in dataclasses.fields(model)}
    for field in set(found) - set(limits):
        empty = (0,) * len(found[field]) if isinstance(found[field], tuple) else 0
        if field in model.REPEATED:
            many = (1001,) * len(found[field]) if isinstance(found[field], tuple) else 1001
            with pytest.raises(InputError, match='is 1001, but must be from 0 to 1000'):
                models.make({'name': name, field: many})
        if field in model.REPEATED or found[field] == 0:
            assert getattr(models.make({'name': name, field: empty}), field) == 0
        else:
            with pytest.raises(InputError, match=rf'disc\.{field}.* is 0, but must be at least 1$'):
                models.make({'name': name, field: empty}, 'disc')


@pytest.mark.parametrize(
    ('name', 'field', 'value', 'allowed'),
    [
        ('resnet', 'classes', -1, 'at least 0'),
        ('fcos', 'classes', -2, 'at least 0'),
        ('deeplab', 'dropout_rate', 1.5, 'from 0 to 1'),
        ('vqvae', 'decay', -0.25, 'from 0 to 1'),
        ('stylegan2', 'mapping_rate', 0.0, 'at least 1e-06'),
    ],
)
def test_limits_of_a_network_are_told(name, field, value, allowed):
    message = f'^config.model.{field} is {value}, but must be {allowed}$'
    with pytest.raises(InputError, match=message):
        models.make({'name': name, field: value})
    assert models.make({'name': name, field: 1}).name is None


def test_a_network_says_which_negative_numbers_mean_something(novel):
    fields = ('REPEATED = ()', 'LIMITS = {"shift": (-5, 5)}', 'shift: int = 2', 'axis: int = -1')
    novel('shifting', '\n    '.join(fields))
    assert models.make({'name': 'shifting', 'shift': -5, 'axis': -3}).axis == -3
    with pytest.raises(InputError, match='shift is 6, but must be from -5 to 5'):
        models.make({'name': 'shifting', 'shift': 6})


@pytest.mark.parametrize('name', ['protocols', 'rrdbb', '', 3, None, ['rrdb']])
def test_what_is_no_network_is_refused(name):
    with pytest.raises(InputError, match=r'config\.model\.name=.* is unknown: '):
        models.make({'name': name})
    assert models.repeated_fields(name) == ()
