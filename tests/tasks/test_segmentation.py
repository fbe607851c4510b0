import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import linen as nn

from sr_jax import models, tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.layers.larger import Larger
from sr_jax.layers.switching import MUTABLE, Switching
from sr_jax.tasks import segmentation
from sr_jax.tasks.task import TrainState, with_frozen


class Linear(nn.Module):
    """Logits that are the colors themselves."""

    classes: int = 3
    switching: Switching = Switching()

    @nn.compact
    def __call__(self, x, train=False):
        return x * self.param('scale', nn.initializers.ones, (1, 1, 1, 1))


PARTS = segmentation.Parts(Linear(), segmentation.LossSettings(), None)
PARAMS = {'scale': np.ones((1, 1, 1, 1), np.float32)}
IMAGES = np.random.default_rng(0).random((2, 4, 5, 3), np.float32)
SEGMENTS = np.random.default_rng(1).integers(0, 3, (2, 4, 5), np.int32)
SEGMENTS[0, 1:] = segmentation.IGNORED
BATCH = {'hq': IMAGES, 'segments': SEGMENTS}


def test_the_loss_is_the_mean_of_what_counts_in_each_image():
    state = TrainState(0, PARAMS, {}, None)
    loss, _ = segmentation.compute_loss(PARTS, PARAMS, state, BATCH, jax.random.key(0))
    logs = IMAGES - np.log(np.exp(IMAGES).sum(axis=-1, keepdims=True))
    nats = [
        [-logs[i][place][segments[place]] for place in np.ndindex(4, 5) if segments[place] != 255]
        for i, segments in enumerate(SEGMENTS)
    ]
    assert len(nats[0]) == 5
    assert loss == pytest.approx(np.mean([np.mean(own) for own in nats]), rel=1e-5)


def test_pixels_are_counted_by_true_and_guessed_class():
    outputs = segmentation.predict(PARTS, {'params': PARAMS}, BATCH, jax.random.key(0))
    guessed = IMAGES.argmax(axis=-1)
    np.testing.assert_array_equal(outputs['segments'], guessed)
    expected = np.zeros((2, 3, 3), int)
    for place in np.ndindex(2, 4, 5):
        if SEGMENTS[place] != 255:
            expected[place[0], SEGMENTS[place], guessed[place]] += 1
    np.testing.assert_array_equal(outputs['confusion'], expected)
    alone = segmentation.predict(PARTS, {'params': PARAMS}, {'hq': IMAGES}, jax.random.key(0))
    assert alone.keys() == {'segments'}


def test_metrics_are_of_all_pixels_together():
    evaluation = segmentation.measure_segments()
    confusion = np.array([[[4, 1, 0], [0, 2, 0], [0, 0, 0]], [[1, 0, 0], [2, 5, 0], [0, 0, 0]]])
    told = np.array([[[9, 0, 0], [0, 3, 0]], [[0, 0, 0], [0, 6, 0]]])
    outputs = {'confusion': confusion, 'told': {'a/conv': told}}
    rows, totals = evaluation.measure(BATCH, outputs)
    found = evaluation.summarize(rows, totals)
    assert found['mean_iou'] == pytest.approx((5 / 8 + 7 / 10) / 2)
    assert found['pixel_accuracy'] == pytest.approx(12 / 15)
    assert found['iou/1'] == pytest.approx(7 / 10) and 'iou/2' not in found
    assert found['told/a/conv'] == pytest.approx(1)
    assert evaluation.higher_is_better.keys() <= found.keys()


def test_choices_are_compared_where_they_are():
    truth = np.zeros((1, 7, 6), int)
    truth[0, 3:] = 2
    choice = np.array([[[0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 1, 1]]])
    found = segmentation.count_told(jnp.asarray(choice), jnp.asarray(truth), 4, 3)
    expected = np.zeros((1, 4, 3))
    expected[0, 0, 0], expected[0, 1, 2] = 3, 6
    np.testing.assert_array_equal(found, expected)


def make(**changes):
    config = tiny.shrink(defaults('segmentation', model='unet'))
    return tiny.changed(config, **changes)


def test_a_class_that_is_none_is_named():
    task = tasks.make(make(model__classes=3))
    task.check(BATCH)
    batch = {**BATCH, 'segments': np.full((2, 4, 5), 3)}
    with pytest.raises(InputError, match='class of a pixel is 3, but config.model.classes=3'):
        task.check(batch)


def test_the_number_of_classes_is_the_sources():
    config = make()
    tasks.make(config).complete(config, None)
    assert config.model.classes == 10


def test_panels_are_images_and_both_masks():
    outputs = {'segments': np.zeros((2, 4, 5), int)}
    images, true, guessed = segmentation.panels(3, None, BATCH, outputs)['samples']
    assert images is IMAGES and true.shape == guessed.shape == IMAGES.shape
    assert not np.array_equal(true, guessed)


def test_a_step_has_the_same_shapes_with_switched_layers():
    config = make(model__classes=3, loss__load_balancing_weight=0.01)
    layers = ('decoder_0/conv_1', 'decoder_3/conv_0')
    config.model.switching.update(layers=layers, breadth=6)
    task = tasks.make(config)
    batch = task.batch(4)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    new, metrics = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    assert metrics['load_balancing'].shape == ()
    outputs = jax.eval_shape(task.predict, state.inference_variables(), batch, jax.random.key(2))
    assert outputs['told']['decoder_3/conv_0'].shape == (4, 6, 3)
    with pytest.raises(InputError, match='load_balancing_weight must not be negative'):
        segmentation.LossSettings(-1.0)


def guided():
    """A config whose selectors look at latents, and what loads them."""
    config = make(model__classes=3, selectors__source='runs/latents')
    config.model.switching.update(
        layers=('decoder_0/conv_1', 'backbone/conv'), breadth=6, network='standard'
    )
    section = dict(name='pixpro', depth=10, features=2, stem='small', hidden=6, latents=5)
    module = models.make(section)
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(s.dtype), shapes)
    drawn['target'] = {'moved': np.int32(0)}
    return config, lambda source: LoadedNetwork(section, drawn, source)


def test_selectors_look_at_frozen_latents():
    config, load = guided()
    tasks.make(config).complete(config, load)
    assert config.selectors.network.latents == 5
    task = tasks.make(config)
    frozen = task.frozen(load, True)
    assert frozen.keys() == {'params', 'batch_stats'}
    batch = task.batch(4)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    # The selector of the decoder sees five channels, that of the stem the colors.
    selectors = [state.params['decoder_0']['conv_1'], state.params['backbone']['conv']]
    taken = [part['selector']['conv']['kernel'].shape[2] for part in selectors]
    state = with_frozen(task, state, frozen)
    new, _ = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    outputs = jax.eval_shape(task.predict, state.inference_variables(), batch, jax.random.key(2))
    assert outputs['told'].keys() == {'decoder_0/conv_1', 'backbone/conv'}
    assert taken == [5, 3]


def test_latents_that_are_trained_on_are_a_part_of_the_network():
    config, load = guided()
    config.selectors.trained = True
    config.train.start_from = 'runs/backbone'
    tasks.make(config).complete(config, load)
    assert dict(config.train.start_from) == {'guide': 'runs/latents', '': 'runs/backbone'}
    task = tasks.make(config)
    assert task.frozen(load, True) is None
    batch = task.batch(4)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    latents = load('').variables
    for own, loaded in (
        (state.params['guide'], latents['params']),
        (state.variables['batch_stats']['guide'], latents['batch_stats']),
    ):
        assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, loaded)
    new, _ = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    with pytest.raises(InputError, match='selectors.trained: name the network of the latents'):
        segmentation.SelectorSettings(trained=True)


def test_selectors_teach_the_latents_that_they_look_at():
    settings = Switching(layers=('conv_1',), breadth=6, network='standard')
    module, rng = Larger(2, settings), np.random.default_rng(0)
    shapes = ((1, 3, 2, 4), (1, 5, 4, 3), (1, 2, 1, 5))
    x, skip, latents = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    variables = module.init(jax.random.key(0), x, skip, True, latents)

    def total(latents):
        y, _ = module.apply(variables, x, skip, True, latents, mutable=list(MUTABLE))
        return jnp.sum(y * rng.random(y.shape))

    assert np.abs(jax.jit(jax.grad(total))(latents)).min() > 0


def test_what_tells_no_latents_is_refused():
    config, _ = guided()
    config.selectors.network = dict(name='resnet', depth=10)
    with pytest.raises(InputError, match='is a resnet, which tells no latents'):
        tasks.make(config)
    config = tiny.shrink(defaults('segmentation', model='deeplab'))
    config.selectors.source = 'runs/latents'
    with pytest.raises(InputError, match='only in the decoder of a unet .* not in deeplab'):
        tasks.make(config)
