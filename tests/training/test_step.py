import jax
import numpy as np
import pytest
import tiny

from configs import rrdb
from sr_jax import tasks
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.devices import sharding
from sr_jax.training.step import WORTH_COMPILING, jit_predict, jit_step

BATCH, HEIGHT, WIDTH = 2, 25, 27


def config_of(products, steps=5):
    config = rrdb.get_config()
    config.model.update(features=33, growth=34, num_blocks=2, scale=1, unshuffle=False)
    config.optimizer.update(name='sgd', learning_rate=1.0, warmup_steps=0, schedule='constant')
    return tiny.changed(
        config, train__products=products, train__steps=steps, train__batch_size=BATCH
    )


def step_of(config, devices=1):
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:devices])
    tree = tiny.started(task, mesh, config.seed)
    return tree, jit_step(task, mesh, sharding.layout(tree, mesh), config)


def has_few_products(lowered):
    return 'batching_dims = [0]' in lowered.as_text()  # of a tile's places


@pytest.fixture(scope='module')
def batch():
    return {'hq': tiny.images(BATCH, WIDTH)[:, :HEIGHT]}


def test_fewer_products_make_the_same_step_in_a_loop_and_on_two_devices(batch):
    made = {}
    for products, devices in (('all', 1), ('few', 2)):
        tree, step = step_of(config_of(products), devices)
        lowered = step.lower(tree, batch)
        assert has_few_products(lowered) == ('while' in lowered.as_text()) == (products == 'few')
        after, metrics = lowered.compile()(tree, batch)
        made[products] = jax.device_get((after['state'].params, metrics))
    pairs = zip(*map(jax.tree.leaves, made.values()), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


# Of the five convolutions of a dense block, which have the most.
WORK = BATCH * HEIGHT * WIDTH * ((33 + 67 + 101 + 135) * 34 + 169 * 33)


@pytest.mark.parametrize(
    ('products', 'steps', 'expected'),
    [
        ('auto', -(-WORTH_COMPILING // WORK), True),
        ('auto', WORTH_COMPILING // WORK, False),
        ('few', 9, True),
    ],
)
def test_products_are_few_where_the_steps_make_up_for_compiling(products, steps, expected, batch):
    tree, step = step_of(config_of(products, steps))
    assert has_few_products(step.lower(tree, batch)) == expected


def test_in_bfloat16_no_product_is_left_out(batch):
    config = config_of('few')
    config.dtype = 'bfloat16'
    tree, step = step_of(config)
    assert not has_few_products(step.lower(tree, batch))


@pytest.mark.parametrize('products', ['few', 'auto', 'all'])
def test_predictions_have_few_products_too(products, batch, monkeypatch):
    monkeypatch.setattr(sharding, 'jit_predict', lambda predict, *_: predict)
    config = config_of(products)
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    variables = abstract_tree(task, mesh)['state'].inference_variables()
    inputs = (variables, batch, jax.random.key(0))
    program = str(jax.make_jaxpr(jit_predict(task, mesh, config))(*inputs))
    assert ('dimension_numbers=(([2], [1]), ([0], [0]))' in program) == (products == 'few')
