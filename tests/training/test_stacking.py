import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from configs import rrdb
from sr_jax import tasks
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.devices import sharding
from sr_jax.tasks.task import parameters
from sr_jax.training import loop
from sr_jax.training.stacking import Stacking
from sr_jax.training.step import jit_step

BLOCKS = 2


def config_of(**changes):
    config = tiny.shrink(rrdb.get_config())
    config.model.update(num_blocks=BLOCKS, features=5, growth=4)
    config.optimizer.update(weight_decay=0.5, clip_norm=0.1, ema_decay=0.9, warmup_steps=0)
    return tiny.changed(config, **changes)


@pytest.fixture(scope='module')
def mesh():
    return sharding.make_mesh(jax.devices()[:1])


def equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_step_of_stacked_blocks_is_that_of_each_block_by_itself(mesh):
    config = config_of()
    task = tasks.make(config)
    plain = tiny.started(task, mesh)
    stacking = Stacking.of(task, mesh)
    stacked = {**plain, 'state': stacking.stack(plain['state'])}
    equal(jax.device_get(stacking.unstack(stacked['state'])), jax.device_get(plain['state']))
    abstract = stacking.stack(abstract_tree(task, mesh)['state'])
    assert jax.tree.map(jnp.shape, abstract) == jax.tree.map(jnp.shape, stacked['state'])
    after, programs = [], []
    for tree in jax.tree.map(jnp.copy, (plain, stacked)):  # the steps take them
        step = jit_step(task, mesh, sharding.layout(tree, mesh), config)
        batch = tiny.examples(task)
        lowered = step.lower(tree, batch)
        programs.append(lowered.as_text().count('stablehlo.convolution'))
        advance = lowered.compile()
        for _ in range(2):
            tree, metrics = advance(tree, batch)
        assert metrics['finite_gradients'].shape == (BLOCKS * 3 * 10 + 2 * 6,)
        after.append((jax.device_get(tree['state']), metrics))
    assert programs[1] < programs[0]
    (expected, one), (found, other) = after
    for a, b in zip(
        *map(jax.tree.leaves, ((expected, one), (stacking.unstack(found), other))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_flags_have_the_names_of_blocks_one_by_one(mesh):
    task = tasks.make(config_of())
    stacking = Stacking.of(task, mesh)
    plain = tiny.started(task, mesh)['state']
    names = stacking.names(stacking.stack(plain))
    assert sorted(names) == sorted(Stacking({}, mesh).names(plain))
    first = names.index('block_0/rdb_0/conv_3/kernel')
    following = [names[first + i] for i in (1, 3)]
    assert following == ['block_0/rdb_1/conv_3/kernel', 'block_1/rdb_0/conv_3/kernel']


def test_of_a_gan_the_generator_is_stacked(mesh):
    config = tiny.gan()
    config.model.num_blocks = BLOCKS
    task = tasks.make(config)
    state = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), abstract_tree(task, mesh)['state'])
    stacking = Stacking.of(task, mesh)
    stacked = stacking.stack(state)
    assert stacked['discriminator'] is state['discriminator']
    assert 'block_0 to block_1' in stacked['generator'].params
    names = stacking.names(stacked)
    assert names[0].startswith('discriminator/') and names[-1].startswith('generator/')
    assert len(names) == len(jax.tree.leaves(parameters(state)))


@pytest.mark.parametrize('name', ['lamb', 'lars', 'muon', 'soap'])
def test_what_looks_at_whole_arrays_is_not_stacked(name, mesh):
    assert not Stacking.of(tasks.make(config_of(optimizer__name=name)), mesh).loops['model']


def test_a_state_in_parts_is_not_stacked():
    mesh = sharding.make_mesh(jax.devices()[:2], fsdp=2)
    assert not Stacking.of(tasks.make(config_of()), mesh).loops


def test_a_run_keeps_its_blocks_one_by_one_and_goes_on_bit_for_bit(tmp_path, one_device):
    same = dict(optimizer__schedule='constant', log__samples=0)
    config, shorter = (config_of(train__steps=n, **same) for n in (3, 1))
    loop.train(config, tmp_path / 'whole')
    loop.train(shorter, tmp_path / 'parts')
    loop.train(config, tmp_path / 'parts')
    task, mesh = tasks.make(config), sharding.make_mesh()
    whole, parts = (
        Checkpoints(tmp_path / name).restore(3, lambda saved: abstract_tree(task, mesh)).tree
        for name in ('whole', 'parts')
    )
    assert 'block_1' in whole['state'].params
    equal(whole, parts)
