import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax import sharding
from sr_jax.errors import InputError


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
    tree = jax.device_put(tree, sharding.replicated(mesh))
    batch = sharding.put_batch({'hq': np.arange(8.0, dtype=np.float32)}, mesh)
    after, metrics = sharding.jit_step(train_step, mesh)(tree, batch)
    assert after['state'] == metrics['mean'] == 3.5
    assert metrics['random'] == jax.random.uniform(jax.random.key(3))
    assert tree['state'].is_deleted()
