"""Every config in every variant: its shapes at full size, and, shrunk, a step and a prediction."""

import functools
import importlib.util
import pathlib
import re

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from tiny import NETWORKS, compiled, examples, shrink, started
from tiny_networks import drawn

from sr_jax import models, tasks
from sr_jax.checkpoints.run import init_tree
from sr_jax.config.defaults import chosen_names, defaults
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.models import vgg
from sr_jax.tasks.task import parameters, predicting_variables, with_frozen
from sr_jax.training.settings import read_settings

FOLDER = pathlib.Path(__file__).parents[1] / 'configs'


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFIGS = [
    pytest.param(path, variant, id=f'{path.stem}:{variant}')
    for path in sorted(FOLDER.glob('*.py'))
    for variant in load(path).VARIANTS
]


# Tasks and networks whose steps are long to compile: the documentation and the tests of these tasks
# take them.
ELSEWHERE = {
    *('gan', 'flow', 'stylegan', 'video', 'segmentation', 'detection', 'pixel_contrast'),
    *('code_transformer', 'pixelsnail', 'switched_sr', 'resnet_sr'),
}


def first_of_pairs():
    """Returns the ids of the first config of each task and network: these are compiled and trained,
    the others when slow tests are asked for."""
    found = {}
    for config in CONFIGS:
        path, variant = config.values
        values = load(path).get_config(variant)
        if ELSEWHERE.isdisjoint({values.task, values.model.name}):
            found.setdefault((values.task, values.model.name), config.id)
    return set(found.values())


FIRST = first_of_pairs()
STEPS = [
    pytest.param(*config.values, id=config.id, marks=[pytest.mark.slow] * (config.id not in FIRST))
    for config in CONFIGS
]
# Networks that a config keeps frozen, by the files that it names, which are not here.
FROZEN = {
    'weights/vgg19.safetensors': {
        'name': 'vgg',
        'depth': 19,
        'outputs': tuple(layer.name for layer in vgg.plan(19)),
    },
    'lpips-vgg16': {'name': 'vgg', 'depth': 16},
}


STAGE_1 = {'name': 'vqvae', **NETWORKS['vqvae']}


def load_stand_in(source):
    """A frozen network of the right shapes; to be called within `jax.eval_shape`."""
    if source == 'runs/vqvae':
        return drawn(STAGE_1, source)
    model = models.make(FROZEN[source])
    example = jnp.zeros(model.example(1).shape)
    return networks.LoadedNetwork(FROZEN[source], model.init(jax.random.key(0), example), source)


def first_of_kinds():
    """Returns the ids of the first config of each kind: of a task, networks, a degradation, losses,
    and layers that are switched; the shapes of others are told when slow tests are asked for."""
    found = {}
    for config in CONFIGS:
        path, variant = config.values
        values = load(path).get_config(variant)
        terms = {key for key, term in weights(values.get('loss', {})) if term}
        switched = 'switching' in values.model and bool(values.model.switching.layers)
        kind = (values.task, frozenset(chosen_names(values).items()), frozenset(terms), switched)
        found.setdefault(kind, config.id)
    return set(found.values())


def weights(loss):
    """The weights of the terms of a loss, by their names."""
    for key, term in loss.items():
        if isinstance(term, ml_collections.ConfigDict):
            yield key, term.get('weight')


KINDS = first_of_kinds()
SIZES = [
    pytest.param(*config.values, id=config.id, marks=[pytest.mark.slow] * (config.id not in KINDS))
    for config in CONFIGS
]


@pytest.mark.parametrize(('path', 'variant'), SIZES)
def test_shapes_at_full_size(path, variant):
    config = load(path).get_config(variant)
    tasks.make(config).complete(config, load_stand_in)
    # Of what a network repeats, the rest has two at most, which are as any number of them; five
    # where layers are switched, since these lie as far as there.
    most = 5 if 'switching' in config.model and config.model.switching.layers else 2
    for section in filter(None, (config.model, config.get('bottom'))):
        for field in models.repeated_fields(section.name):
            section[field] = min(section[field], most)
    task, state, batch, key = abstract_run(config)
    predicting, training = (
        jax.eval_shape(functools.partial(task.frozen, load_stand_in, training))
        for training in (False, True)
    )
    variables = predicting_variables(task, with_frozen(task, state, predicting))
    outputs = jax.eval_shape(task.predict, variables, batch, key)
    assert outputs.get('image', batch['hq']).shape == batch['hq'].shape
    state = with_frozen(task, state, training)
    new, metrics = jax.eval_shape(task.train_step, state, batch, key)
    assert shapes(new) == shapes(state)
    assert metrics['loss'].shape == ()
    assert metrics['finite_gradients'].shape == (len(jax.tree.leaves(parameters(state))),)


def abstract_run(config):
    """The task of a config, and of what its functions take nothing but the shapes."""
    task, train = tasks.make(config), config.train
    batch = task.batch(train.effective_batch_size or train.batch_size * train.accumulation)
    key = jax.eval_shape(jax.random.key, 0)
    tree = jax.eval_shape(functools.partial(init_tree, task), key, task.batch(1))
    return task, tree['state'], batch, key


def shapes(tree):
    return [(path, x.shape, x.dtype) for path, x in jax.tree.leaves_with_path(tree)]


@pytest.mark.parametrize(('path', 'variant'), STEPS)
def test_a_step_and_a_prediction(path, variant):
    config = shrink(load(path).get_config(variant))
    read_settings(config)
    load_frozen = load_stand_in if config.task == 'prior' else networks.load
    tasks.make(config).complete(config, load_frozen)
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    batch = examples(task)
    tree = started(task, mesh, config.seed, load_frozen)
    before = jax.device_get(parameters(tree['state']))
    step = compiled(sharding.jit_step(task.train_step, mesh), tree, batch)
    tree, metrics = step(tree, batch)
    assert np.isfinite(metrics['loss'])
    after = dict(jax.tree.leaves_with_path(parameters(tree['state'])))
    for path, value in jax.tree.leaves_with_path(before):
        name = jax.tree_util.keystr(path, simple=True, separator='/')
        # A flow's encoder may rest, and its couplings begin behind layers of zeros.
        behind = r'rrdb/|/conv_\d/(kernel|log_scale)|/prior/log_scale'
        if config.task == 'flow' and re.search(behind, name):
            continue
        # Inside a selector so tiny a ReLU may be dead; its output's bias is behind all of them.
        if '/selector/' not in name or name.endswith('/selector/conv/bias'):
            assert not np.array_equal(after[path], value), name
    variables = predicting_variables(task, tree['state'])
    outputs = jax.jit(task.predict)(variables, batch, jax.random.key(0))
    assert len(jax.tree.leaves(outputs)[0]) == 4
    if 'image' in outputs:
        assert outputs['image'].shape == batch['hq'].shape
        assert 0 <= outputs['image'].min() <= outputs['image'].max() <= 1


@pytest.mark.parametrize(('path', 'variant'), CONFIGS)
def test_every_key_is_there_and_valid(path, variant):
    config = load(path).get_config(variant)
    complete = defaults(config.task, **chosen_names(config))
    assert keys(config) == keys(complete)
    read_settings(config)
    tasks.make(config)


def keys(section, path='config'):
    """The full names of all keys, but for the layers and losses that have weights: they are any."""
    found = set()
    for key, value in section.items():
        name = f'{path}.{key}'
        nested = isinstance(value, ml_collections.ConfigDict) and key not in ('layers', 'weights')
        found |= keys(value, name) if nested else {name}
    return found


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda path: path.stem)
def test_a_config_opens_with_its_commands_and_what_to_expect(path):
    module = load(path)
    for variant in module.VARIANTS[1:]:
        assert f'--config configs/{path.name}:{variant}' in module.__doc__
    assert f'python -m sr_jax.main --config configs/{path.name}' in module.__doc__
    assert re.search(r'Expect.*0\.\d', module.__doc__, re.DOTALL)
    assert module.get_config() == module.get_config(module.VARIANTS[0])
    with pytest.raises(InputError, match='no variant'):
        module.get_config('nonsense')


def test_the_imagenet_variant_is_the_published_set_up():
    config = load(FOLDER / 'vqvae.py').get_config('imagenet')
    model = config.model
    assert (model.channels, model.num_res_blocks, model.res_channels) == (128, 2, 32)
    assert (model.codebook_size, model.codebook_dim, model.decay) == (512, 64, 0.99)
    assert model.revive_below == 0
    assert config.loss.commitment_weight == 0.25
    assert (config.optimizer.name, config.optimizer.learning_rate) == ('adam', 3e-4)
    assert (config.train.batch_size, config.data.crop_size) == (128, 256)
    assert config.data.source == 'tfds:imagenet2012'


def test_the_published_esrgan_is_basicsrs():
    config = load(FOLDER / 'esrgan.py').get_config('published')
    assert (config.model.features, config.model.num_blocks, config.model.growth) == (64, 23, 32)
    section = config.discriminator
    assert (section.form, section.features, section.size, section.norm) == ('vgg', 64, 128, 'batch')
    loss = config.loss
    assert (loss.pixel.weight, loss.perceptual.weight, loss.adversarial.weight) == (0.01, 1, 0.005)
    assert loss.adversarial.relativistic and loss.adversarial.kind == 'vanilla'
    assert dict(loss.perceptual.layers) == {'conv5_4': 1.0}
    for section in (config.optimizer, config.discriminator_optimizer):
        assert (section.learning_rate, section.b1, section.b2) == (1e-4, 0.9, 0.99)
        assert section.milestones == (50_000, 100_000, 200_000, 300_000)
        assert section.decay_factor == 0.5
    assert config.optimizer.ema_decay == 0.999
    assert (config.train.steps, config.train.batch_size) == (400_000, 16)


def test_the_real_esrgan_is_the_published_second_phase():
    config = load(FOLDER / 'esrgan.py').get_config('real')
    first_phase = load(FOLDER / 'rrdb.py').get_config('real')
    assert config.degradation == first_phase.degradation
    assert config.degradation.sharpened
    assert config.model == first_phase.model
    assert (config.discriminator.form, config.discriminator.features) == ('unet', 64)
    loss = config.loss
    weights = [getattr(loss, name).weight for name in ('pixel', 'perceptual', 'adversarial')]
    assert (loss.criterion, weights) == ('l1', [1, 1, 0.1])
    assert (loss.perceptual.network, loss.perceptual.criterion) == ('vgg19', 'l1')
    layers = {'conv1_2': 0.1, 'conv2_2': 0.1, 'conv3_4': 1, 'conv4_4': 1, 'conv5_4': 1}
    assert dict(loss.perceptual.layers) == layers
    assert (loss.adversarial.kind, loss.adversarial.relativistic) == ('vanilla', False)
    for section in (config.optimizer, config.discriminator_optimizer):
        rates = (section.learning_rate, section.schedule, section.b1, section.b2)
        assert rates == (1e-4, 'constant', 0.9, 0.99)
    assert config.optimizer.ema_decay == 0.999
    assert (config.train.steps, config.train.effective_batch_size) == (400_000, 48)
    assert (config.data.crop_size, config.data.flips, config.data.rotations) == (256, True, False)
