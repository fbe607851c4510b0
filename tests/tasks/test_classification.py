import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import linen as nn

from sr_jax import tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.layers.switching import Switching
from sr_jax.tasks import classification
from sr_jax.tasks.task import TrainState


class Linear(nn.Module):
    """Logits of the mean color."""

    classes: int = 3
    switching: Switching = Switching()

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(self.classes, name='last')(x.mean(axis=(1, 2)))


KERNEL = np.array([[1.0, -1.0, 0.0], [0.0, 2.0, 1.0], [0.5, 0.0, -2.0]], np.float32)
PARAMS = {'last': {'kernel': KERNEL, 'bias': np.zeros(3, np.float32)}}
IMAGES = np.random.default_rng(0).random((2, 5, 4, 3), np.float32)
BATCH = {'hq': IMAGES, 'label': np.array([2, 0], np.int32)}


def expected(targets):
    logits = IMAGES.mean(axis=(1, 2)) @ KERNEL
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logs, -(targets * logs).sum(axis=1)


@pytest.mark.parametrize('smoothing', [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_of_smoothed_labels(smoothing):
    state = TrainState(0, PARAMS, {}, None)
    weights = classification.LossSettings(label_smoothing=smoothing)
    key = jax.random.key(0)
    loss, (terms, _, _) = classification.compute_loss(Linear(), weights, PARAMS, state, BATCH, key)
    targets = np.eye(3)[[2, 0]] * (1 - smoothing) + smoothing / 3
    assert loss == pytest.approx(expected(targets)[1].mean(), rel=1e-5)
    assert terms['cross_entropy'] == loss


def test_predictions_are_probabilities_and_whether_they_are_right():
    variables = {'params': PARAMS}
    outputs = classification.predict(Linear(), variables, BATCH, jax.random.key(0))
    logs, nats = expected(np.eye(3)[[2, 0]])
    np.testing.assert_allclose(outputs['probabilities'], np.exp(logs), rtol=1e-5)
    np.testing.assert_allclose(outputs['cross_entropy'], nats, rtol=1e-5)
    assert outputs['top_1'].tolist() == (logs.argmax(axis=1) == [2, 0]).tolist()
    assert outputs['top_5'].tolist() == [1, 1]
    np.testing.assert_allclose(outputs['confidence'], np.exp(logs).max(axis=1), rtol=1e-5)


def test_rows_become_shares_and_the_calibration_error():
    evaluation = classification.measure_guesses()
    outputs = {
        'top_1': np.array([1, 0, 0], np.float32),
        'top_5': np.array([1, 1, 0], np.float32),
        'confidence': np.array([0.5, 0.5, 0.95], np.float32),
        'cross_entropy': np.array([1.0, 2.0, 6.0], np.float32),
    }
    rows, totals = evaluation.measure({'label': np.array([0, 6, 3])}, outputs)
    found = evaluation.summarize(rows, totals)
    assert found.keys() == evaluation.higher_is_better.keys()
    assert found['top_1'] == pytest.approx(1 / 3) and found['top_5'] == pytest.approx(2 / 3)
    assert found['cross_entropy'] == pytest.approx(3)
    assert found['calibration_error'] == pytest.approx((0 + 0.95) / 3)


def make(**changes):
    config = tiny.shrink(defaults('classification', model='resnet'))
    return tiny.changed(config, **changes)


@pytest.mark.parametrize('label', [3, -1])
def test_a_label_of_no_class_is_named(label):
    task = tasks.make(make(model__classes=3))
    batch = {**BATCH, 'label': np.array([2, label])}
    with pytest.raises(InputError, match=f'a label is {label}, but config.model.classes=3'):
        task.check(batch)
    task.check(BATCH)


def test_the_number_of_classes_is_the_sources():
    config = make(data__source='digits')
    tasks.make(config).complete(config, None)
    assert config.model.classes == 10
    config = make(data__source='photos')
    with pytest.raises(InputError, match="'photos' does not say how many classes its 'label' has"):
        tasks.make(config).complete(config, None)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(label_smoothing=1.0), r'label_smoothing must be in \[0, 1\)'),
        (dict(mixup=-0.1), 'mixup must not be negative'),
        (dict(cutmix=-1.0), 'cutmix must not be negative'),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        classification.LossSettings(**changes)


def test_panels_are_images_beside_their_probabilities():
    outputs = {'probabilities': np.full((2, 3), 1 / 3, np.float32)}
    images, drawn = classification.panels(None, BATCH, outputs)['samples']
    assert images is IMAGES and drawn.shape == IMAGES.shape


def test_a_step_has_the_same_shapes_with_mixing_and_switched_layers():
    config = make(model__classes=3, loss__mixup=0.2, loss__cutmix=1.0)
    config.loss.load_balancing_weight = 0.01
    config.model.switching.update(layers=('backbone/stage_3_block_0/conv_1',), breadth=6)
    task = tasks.make(config)
    batch = task.batch(4)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    new, metrics = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    assert metrics['load_balancing'].shape == ()
    outputs = jax.eval_shape(task.predict, state.inference_variables(), batch, jax.random.key(2))
    assert outputs['choices']['backbone/stage_3_block_0/conv_1'].shape == (4, 2, 2)
