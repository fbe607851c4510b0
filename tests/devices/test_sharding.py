import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.config.settings import CheckpointSettings
from sr_jax.devices import memory, sharding
from sr_jax.errors import InputError
from sr_jax.tasks.task import parameters, without_frozen


def test_a_batch_lies_split_over_all_devices():
    mesh = sharding.make_mesh()
    assert mesh.size == 8
    batch = sharding.put_batch({'hq': np.arange(16.0, dtype=np.float32)[:, None]}, mesh)
    shards = batch['hq'].addressable_shards
    assert len({shard.device for shard in shards}) == 8
    assert all(shard.data.shape == (2, 1) for shard in shards)
    np.testing.assert_array_equal(batch['hq'][:, 0], np.arange(16))


@pytest.mark.parametrize(
    ('size', 'remedy'), [(12, 'such as 16'), (0, 'such as 8'), (3, 'such as 8')]
)
def test_a_batch_that_does_not_split_is_named_with_the_nearest_that_does(size, remedy):
    with pytest.raises(InputError) as error:
        sharding.check_batch_size(size, sharding.make_mesh(), 'config.train.batch_size')
    assert f'config.train.batch_size={size} cannot be split over 8 devices' in str(error.value)
    assert remedy in str(error.value)


def test_a_batch_that_splits_passes():
    sharding.check_batch_size(24, sharding.make_mesh(), 'config.train.batch_size')


def test_the_step_gets_the_whole_batch_and_gives_its_state_away():
    mesh = sharding.make_mesh()

    def train_step(state, batch, rng):
        mean = batch['hq'].mean()
        return state + mean, {'mean': mean, 'random': jax.random.uniform(rng)}

    tree = {'state': jnp.zeros(()), 'rng': jax.random.key_data(jax.random.key(3))}
    tree = jax.device_put(tree, sharding.replicated_sharding(mesh))
    batch = sharding.put_batch({'hq': np.arange(8.0, dtype=np.float32)}, mesh)
    after, metrics = sharding.jit_step(train_step, mesh)(tree, batch)
    assert after['state'] == metrics['mean'] == 3.5
    assert metrics['random'] == jax.random.uniform(jax.random.key(3))
    assert tree['state'].is_deleted()


def test_rows_of_a_batch_that_every_process_has():
    mesh = sharding.make_mesh(fsdp=2)
    assert sharding.own_rows(mesh, 16) == slice(0, 16)
    batch = {'hq': np.arange(16.0, dtype=np.float32)}
    outputs = sharding.put_rows(batch, mesh)
    np.testing.assert_array_equal(sharding.fetch_own(outputs)['hq'], batch['hq'])
    np.testing.assert_array_equal(sharding.fetch_all(outputs)['hq'], batch['hq'])


@pytest.mark.parametrize(
    ('shape', 'part'),
    [
        ((3, 3, 64, 128), (3, 3, 64, 32)),
        ((3, 3, 128, 64), (3, 3, 32, 64)),
        ((64, 64), (64, 16)),  # the last of equal ones
        ((1026, 6, 4), (1026, 6, 1)),
        ((1023, 3), (1023, 3)),  # nothing divides
        ((512,), (512,)),  # too small
        ((), ()),
    ],
)
def test_the_largest_axis_that_divides_is_split(shape, part):
    mesh = sharding.make_mesh(fsdp=4)
    assert dict(mesh.shape) == {'data': 2, 'fsdp': 4}
    (place,) = sharding.layout([jax.ShapeDtypeStruct(shape, jnp.float32)], mesh)
    assert place.shard_shape(shape) == part
    (place,) = sharding.layout([jnp.zeros(shape)], sharding.make_mesh())
    assert place.is_fully_replicated


def test_an_fsdp_that_does_not_divide_the_devices_is_named_with_those_that_do():
    with pytest.raises(InputError, match='fsdp=3 does not divide the 8 devices: take one of 1, 2'):
        sharding.make_mesh(fsdp=3)


def held_by_one(tree):
    """Bytes that one device holds of a tree."""
    return sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(tree))


def trained_for(steps, task, fsdp, size, start):
    """Losses, train state, bytes that a device holds of it, and bytes that the step takes."""
    mesh = sharding.make_mesh(fsdp=fsdp)
    tree = jax.device_put(start, sharding.layout(start, mesh))
    held, losses = held_by_one(tree), []
    images = np.random.default_rng(0).random((steps, 8, size, size, 3), np.float32)
    batches = [sharding.put_batch({'hq': hq}, mesh) for hq in images]
    step = sharding.jit_step(task.train_step, mesh, sharding.layout(tree, mesh))
    step = tiny.compiled(step, tree, batches[0])
    for batch in batches:
        tree, metrics = step(tree, batch)
        losses.append(float(metrics['loss']))
    return losses, tree, held, memory.compiled_bytes(step)


WIDE = {
    'regression': dict(model__features=40, optimizer__ema_decay=0.9),
    'vqvae': dict(model__channels=48, model__codebook_size=64, optimizer__ema_decay=0.9),
    'gan': dict(model__features=32, model__growth=16),
    'flow': dict(model__features=32, model__growth=16, model__hidden=32),
}


@pytest.mark.parametrize(
    'name',
    ['regression', *(pytest.param(n, marks=pytest.mark.slow) for n in ('vqvae', 'gan', 'flow'))],
)
def test_split_parameters_train_as_whole_ones_do_in_less_memory(name, tmp_path):
    config = getattr(tiny, name)(train__batch_size=8, **WIDE[name])
    task, size = tasks.make(config), config.data.crop_size
    start = tiny.started(task, sharding.make_mesh(fsdp=8))
    held, start = held_by_one(start), jax.device_get(start)
    whole, split = (trained_for(2, task, fsdp, size, start) for fsdp in (1, 8))
    assert held == split[2]
    np.testing.assert_allclose(split[0], whole[0], rtol=1e-5)
    pairs = zip(
        *(jax.tree.leaves(parameters(tree['state'])) for _, tree, *_ in (split, whole)), strict=True
    )
    for array, expected in pairs:
        np.testing.assert_allclose(array, expected, rtol=1e-3, atol=3e-5)
    assert split[2] < 0.4 * whole[2]
    assert split[3] < 0.9 * whole[3]
    _interchange(config, split[1], tmp_path)


def _interchange(config, tree, workdir):
    """What was saved in parts comes back whole, and the other way round."""
    settings = CheckpointSettings(every=1, keep_last=9, keep_best=0, best_metric='mse')
    saved = Checkpoints(workdir, settings)
    tree = {**tree, 'state': without_frozen(tasks.make(config), tree['state'])}
    for step, fsdp in ((1, 1), (2, 4)):
        saved.save(step, tree, config=config, data=None, metrics=None)
        saved.wait()
        mesh = sharding.make_mesh(fsdp=fsdp)
        found = saved.restore(
            step, lambda config, mesh=mesh: abstract_tree(tasks.make(config), mesh)
        )
        jax.tree.map(np.testing.assert_array_equal, found.tree, tree)
        tree = found.tree
    saved.close()
