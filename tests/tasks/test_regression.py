import jax
import numpy as np
import pytest
from tiny import changed, images, real, regression, started

from sr_jax import tasks
from sr_jax.devices import sharding
from sr_jax.errors import InputError

MESH = sharding.make_mesh(jax.devices()[:1])


def start(config):
    task = tasks.make(config)
    return task, started(task, MESH, config.seed)


def predict(task, tree, batch):
    variables = tree['state'].inference_variables()
    return jax.jit(task.predict)(variables, batch, jax.random.key(0))


def steps(config, count=1, batch=None):
    task, tree = start(config)
    step = sharding.jit_step(task.train_step, MESH)
    losses = []
    for _ in range(count):
        tree, metrics = step(tree, {'hq': images()} if batch is None else batch)
        losses.append(float(metrics['loss']))
    return task, tree, losses


def test_a_texture_is_learnt_that_small_images_do_not_show():
    texture = np.tile(images(1, 4), (4, 4, 4, 1))
    config = regression(optimizer__learning_rate=1e-2, optimizer__schedule='constant')
    _, _, losses = steps(config, count=40, batch={'hq': texture})
    assert losses[-1] < 0.5 * losses[0]


def test_accumulation_gives_the_same_update():
    _, whole, losses = steps(regression(train__batch_size=4))
    _, parts, others = steps(regression(train__batch_size=2, train__accumulation=2))
    assert losses == pytest.approx(others, rel=1e-5)
    for one, other in zip(
        jax.tree.leaves(whole['state'].params), jax.tree.leaves(parts['state'].params), strict=True
    ):
        # Adam divides by the gradient's size: where that is tiny, rounding decides the sign.
        assert np.mean(np.abs(one - other) > 1e-5) < 0.02


@pytest.mark.parametrize('criterion', ['l1', 'l2', 'charbonnier'])
def test_the_loss_is_the_criterion_of_true_and_enlarged_images(criterion):
    config = regression(loss__criterion=criterion)
    task, tree = start(config)
    hq = images(5)[:, :, :12]
    image = predict(task, tree, {'hq': hq})['image']
    assert 0 < image.min() < image.max() < 1  # so that predict's clipping changes nothing
    _, _, (loss,) = steps(config, batch={'hq': hq})
    difference = np.asarray(image, np.float64) - hq
    expected = {
        'l1': np.abs(difference).mean(),
        'l2': np.square(difference).mean(),
        'charbonnier': np.sqrt(difference**2 + 1e-12).mean(),
    }
    assert loss == pytest.approx(expected[criterion], rel=1e-4)


def test_each_step_degrades_anew_and_a_run_repeats():
    """By the same network, at three steps: the program is one of the documentation's."""
    task, tree = start(real())
    step = sharding.jit_step(task.train_step, MESH)
    tree, losses = jax.device_get(tree), []
    for number in (0, 1, 2, 0):
        state = tree['state'].replace(step=np.full_like(tree['state'].step, number))
        placed = jax.device_put({**tree, 'state': state}, sharding.replicated_sharding(MESH))
        _, metrics = step(placed, {'hq': images()})
        losses.append(float(metrics['loss']))
    assert losses[3] == losses[0]
    assert len(set(losses)) == 3
    assert step._cache_size() == 1


def test_pairs_are_trained_on_as_they_are():
    config = regression(data__source='paired:a:b')
    hq, lq = images(5)[:, :, :12], images(5, size=4, seed=1)[:, :, :3]
    task, tree, (loss,) = steps(config, batch={'hq': hq, 'lq': lq})
    _, tree = start(config)
    image = predict(task, tree, {'hq': hq, 'lq': lq})['image']
    assert 0 < image.min() < image.max() < 1
    assert loss == pytest.approx(np.abs(image - hq).mean(), rel=1e-4)
    with pytest.raises(InputError, match='scale=4, but .* 2 times'):
        steps(config, batch={'hq': hq, 'lq': images(5, size=8)[:, :, :6]})


def test_predict_enlarges_small_images_as_they_are():
    task, tree = start(regression())
    hq = images(5)[:, :, :12]
    by_itself = predict(task, tree, {'hq': hq})
    assert by_itself['lq'].shape == (5, 4, 3, 3)
    given = predict(task, tree, {'lq': by_itself['lq']})
    np.testing.assert_allclose(given['image'], by_itself['image'], atol=1e-6)
    odd = predict(task, tree, {'hq': images(2, 18)[:, :, :13]})
    assert odd['image'].shape == (2, 18, 13, 3)
    assert odd['lq'].shape == (2, 5, 4, 3)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(data__crop_size=18), 'crop_size=18 is no multiple of config.model.scale=4: take 20'),
        (dict(loss__criterion='l3'), "no such criterion: 'l3'"),
        (dict(degradation__name='bicubik'), "did you mean 'bicubic'"),
        (dict(degradation__name='paired'), "source='photos' has no small images"),
        (dict(model__name='vqvae'), 'config.model'),
        (dict(loss__load_balancing_weight=-0.5), 'load_balancing_weight must not be negative'),
        (dict(model__scales=4), "no key 'scales': did you mean 'scale'"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        tasks.make(changed(regression(), **changes))


def test_a_network_without_scale_is_refused():
    config = regression()
    config.model = dict(name='vqvae', channels=8)
    with pytest.raises(InputError, match='VQVAE has no scale'):
        tasks.make(config)


def test_switched_convolutions_are_trained_and_shown():
    config = regression(loss__load_balancing_weight=0.01)
    switching = dict(layers=('layer_1/conv',), breadth=2, network='standard', norm_size=3)
    config.model = dict(name='switched_sr', scale=4, features=4, num_layers=2, switching=switching)
    task, tree, losses = steps(config, count=3)
    assert np.isfinite(losses).all()
    state = tree['state']
    assert state.variables['switch_norm']['layer_1']['conv']['norm']['index'] == 0  # 3 rows, full
    hq = images(5)[:, :, :12]
    outputs = predict(task, tree, {'hq': hq})
    assert outputs['choices']['layer_1/conv'].shape == (5, 4, 3)
    _, metrics = sharding.jit_step(task.train_step, MESH)(tree, {'hq': images()})
    assert 1 <= metrics['load_balancing'] <= 2
    assert 0 <= metrics['min_share/layer_1/conv'] <= 0.5
