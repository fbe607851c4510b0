import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from configs import glean as glean_config
from sr_jax import models, tasks
from sr_jax.checkpoints import start_from
from sr_jax.config.binding import bind
from sr_jax.config.command_line import make_config_flags, parse_flags
from sr_jax.config.defaults import defaults
from sr_jax.config.settings import TrainSettings, read_sources
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.inference.networks import LoadedNetwork

MESH = sharding.make_mesh(jax.devices()[:1])


def draw(section, seed, images=(1, 32, 32, 3)):
    """A network of a section of a config, with other numbers than any start has."""
    model = dict(section)
    module = models.make(section)
    shapes = dict(jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(images)))
    shapes.pop('intermediates', None)
    rng = np.random.default_rng(seed)
    random = jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(s.dtype), shapes)
    return LoadedNetwork(model, random, f'file_{seed}')


def begun(config):
    """The task of a config, and a state of random numbers."""
    task = tasks.make(config)
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), task.batch(1))
    shapes = jax.eval_shape(task.init, jax.random.key(0), batch)
    rng = np.random.default_rng(9)
    return task, jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(s.dtype), shapes)


def started(config, sources, loaded, report=lambda line: None):
    task, state = begun(config)
    read = read_sources(sources)
    return state, start_from.start(state, read, config, task, MESH, loaded.__getitem__, report)


def same(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_nothing_is_started_from():
    assert read_sources('') == read_sources(None) == read_sources('{}') == {}
    assert read_sources({'generator': ''}) == {}


@pytest.mark.parametrize('quote', ['"', "'"])
def test_a_command_line_names_several(quote):
    text = "{'generator': 'a.pth', 'discriminator': 'runs/b'}".replace("'", quote)
    words = ['train', '--config', 'configs/esrgan.py', f'--config.train.start_from={text}']
    config = parse_flags(words, make_config_flags).config
    expected = {'generator': 'a.pth', 'discriminator': 'runs/b'}
    assert read_sources(bind(TrainSettings, config.train, 'config.train').start_from) == expected
    config.train.start_from = text.replace(quote, '', 1)
    with pytest.raises(InputError, match='start_from=.*give a run, a file of weights'):
        tasks.make(config)


def test_each_of_two_networks_begins_with_what_is_named_for_it():
    config = tiny.gan()
    loaded = {'a': draw(config.model, 1), 'b': draw(config.discriminator, 2)}
    lines = []
    old, new = started(config, {'generator': 'a', 'discriminator': 'b'}, loaded, lines.append)
    same(new['generator'].params, loaded['a'].variables['params'])
    same(new['generator'].ema_params, loaded['a'].variables['params'])
    same(new['discriminator'].inference_variables(), loaded['b'].variables)
    assert lines == ['begins with the network of file_1', 'begins with the network of file_2']
    _, alone = started(config, 'a', loaded)
    same(alone['generator'].params, loaded['a'].variables['params'])
    same(alone['discriminator'].params, old['discriminator'].params)


@pytest.mark.parametrize('sources', ['encoder', {'rrdb': 'encoder'}])
def test_a_part_of_the_parameters_begins_with_the_network_of_its_name(sources):
    config = tiny.flow()
    size = {key: config.model[key] for key in ('scale', 'features', 'num_blocks', 'growth')}
    encoder = draw({'name': 'rrdb', 'skip_from_blocks': True, **size}, 3)
    old, new = started(config, sources, {'encoder': encoder})
    same(new.params['rrdb'], encoder.variables['params'])
    same(new.params['level_0'], old.params['level_0'])


@pytest.mark.parametrize(
    'model',
    [
        dict(name='resnet_sr', depth=10, features=2),
        dict(name='pixpro', depth=10, features=2, stem='small', hidden=6, latents=5),
        dict(name='resnet', depth=10, features=2, stem='small', classes=7),
    ],
)
def test_a_backbone_begins_with_that_of_another_network_and_its_averages(model):
    config = tiny.shrink(defaults('segmentation', model='unet'))
    config.model.classes = 3
    config.model.switching.update(layers=('decoder_1/conv_0',), network='standard')  # not of it
    loaded = draw(model, 4)
    lines = []
    old, new = started(config, {'backbone': 'a'}, {'a': loaded}, lines.append)
    same(new.params['backbone'], loaded.variables['params']['backbone'])
    same(new.variables['batch_stats']['backbone'], loaded.variables['batch_stats']['backbone'])
    same(new.params['decoder_0'], old.params['decoder_0'])
    assert lines == ['backbone begins with the network of file_4']


@pytest.fixture(scope='module')
def glean():
    """A config of a GLEAN without a discriminator, its task and its state."""
    config = glean_config.get_config()
    small = dict(in_size=4, features=3, num_blocks=0, growth=2)
    config.model.update(**small, **tiny.NETWORKS['stylegan2'])
    config.discriminator.name, config.loss.adversarial.weight = '', 0.0
    config.data.crop_size = 8
    return config, *begun(config)


def test_a_network_that_another_holds_and_does_not_train_begins_with_its_own(glean):
    config, task, old = glean
    whole = jax.tree.map(lambda x: x + 1, old['generator'].inference_variables())
    bank, lines = whole['generator'], []

    def load(source):
        name = {'bank': 'stylegan2', 'whole': 'glean'}[source]
        return LoadedNetwork({'name': name}, {'bank': bank, 'whole': whole}[source], source)

    def start(source):
        sources = {'generator': source}
        return start_from.start(old, sources, config, task, MESH, load, lines.append)['generator']

    new = start('bank')
    same(new.variables['generator'], bank)
    same(new.params, old['generator'].params)
    assert 'generator' not in new.params  # so that nothing trains it
    assert lines == ['generator begins with the network of bank']
    same(start('whole').inference_variables(), whole)  # the task's network is called so too


def test_a_generator_that_does_not_fit_is_named(glean):
    config, task, old = glean
    bank = old['generator'].variables['generator']
    wide = {**bank, 'params': {**bank['params'], 'constant': np.zeros((4, 4, 7))}}
    large = {**bank, 'noise': {**bank['noise'], '03': np.zeros((16, 16))}}
    for name, variables, message in (
        ('stylegan2', wide, r'constant is \(4, 4, 7\) there and \(4, 4, 6\) here'),
        ('stylegan2', large, r'noise/03 is \(16, 16\) there and none here'),
        ('srvgg', {'params': {'conv_last': {'bias': np.zeros(3)}}}, "It is a 'srvgg'"),
    ):
        network = LoadedNetwork({'name': name}, variables, 'x')
        with pytest.raises(InputError, match=f'=x does not fit config.model: .*{message}') as error:
            start_from.start(
                old, {'generator': 'x'}, config, task, MESH, lambda _, n=network: n, print
            )
        assert '\n' not in str(error.value)


def test_of_a_part_only_its_own_layers_are_switched():
    layers = ('backbone/conv', 'decoder_1/conv_0', 'backbones/conv')
    assert start_from.layers_within('backbone', layers, inner=True) == ('backbone/conv',)
    assert start_from.layers_within('backbone', layers, inner=False) == ('conv',)
    assert start_from.layers_within('guide', layers, inner=False) == ()


@pytest.mark.parametrize(
    ('sources', 'message'),
    [
        ({'generater': 'a'}, "start_from has 'generater': did you mean 'generator'"),
        ({'discriminator': 'a'}, 'start_from=file_1 does not fit config.model: '),
        ('b', 'start_from=file_2 does not fit config.model: '),
    ],
)
def test_what_does_not_fit_is_named(sources, message):
    config = tiny.gan()
    loaded = {'a': draw(config.model, 1), 'b': draw(config.discriminator, 2)}
    with pytest.raises(InputError, match=message):
        started(config, sources, loaded)


@pytest.mark.parametrize('value', [3, {'generator': 3}])
def test_what_is_no_source_is_refused(value):
    config = tiny.gan()
    with config.ignore_type():
        config.train.start_from = value
    with pytest.raises(InputError, match='start_from=.*give a run, a file of weights'):
        tasks.make(config)
