"""What a run begins with is what one program makes of it, and no two arrays share memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.checkpoints import start_values
from sr_jax.checkpoints.run import begin, init_tree
from sr_jax.checkpoints.start_values import find_sources, make_start
from sr_jax.devices import sharding
from sr_jax.layers.random_draws import draw_in_loops


def kinds(seed):
    """Arrays of many kinds, some alike but for their keys."""
    keys = [jax.random.fold_in(jax.random.key(seed), 3 + i) for i in range(9)]
    kernels = [0.3 * jax.random.normal(key, (40,)).reshape(5, 8) for key in keys[:3]]
    aligned = [jax.random.normal(key, (48,)) for key in keys[3:5]]
    opposite = zip(keys[5:7], (0.0, -0.0), strict=True)
    return {
        'kernels': kernels,
        'averages': [jnp.copy(kernel) for kernel in kernels],
        'aligned': aligned,
        'again': aligned[1],
        'opposite': [jax.random.normal(key, (7,)) * zero for key, zero in opposite],
        'uniform': [jax.random.uniform(key, (2, 3), minval=-i) for i, key in enumerate(keys[5:7])],
        'half': [jax.random.normal(key, (6,)).astype(jnp.bfloat16) for key in keys[7:]],
        'spread': [jnp.broadcast_to(jax.random.normal(key, (1,)), (4,)) for key in keys[:2]],
        'zeros': [jnp.zeros((11, 2)), jnp.zeros((11, 2)), jnp.zeros((), jnp.int32)],
        'ones': jnp.copy(jnp.ones((13,), jnp.bfloat16)),
        'number': 4.0,
        'computed': jnp.arange(10) + seed,
    }


def check_alike(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for (path, one), other in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True
    ):
        assert one.aval == other.aval, path
        assert one.sharding == other.sharding, path
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes(), path


def memory(tree):
    """Where the arrays of a tree lie on their devices."""
    shards = [shard for leaf in jax.tree.leaves(tree) for shard in leaf.addressable_shards]
    return [shard.data.unsafe_buffer_pointer() for shard in shards]


@pytest.mark.parametrize('devices', [1, 2])
def test_arrays_are_those_of_one_program_with_memory_of_their_own(devices):
    mesh = sharding.make_mesh(jax.devices()[:devices])
    places = sharding.layout(jax.eval_shape(kinds, np.uint32(0)), mesh)
    expected = jax.jit(draw_in_loops(kinds), out_shardings=places)(np.uint32(6))
    found = make_start(kinds, 6, mesh)
    check_alike(found, expected)
    where = memory(found)
    assert len(set(where)) == len(where)


def test_what_a_step_is_given_it_may_update_in_place():
    mesh = sharding.make_mesh(jax.devices()[:1])
    found = make_start(kinds, 6, mesh)
    chosen = {name: found[name] for name in ('kernels', 'averages', 'aligned', 'zeros')}
    where = memory(chosen)
    add = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    assert sorted(memory(add(chosen))) == sorted(where)


def test_what_is_known_or_a_scaled_draw_is_taken_apart():
    closed, shapes = jax.make_jaxpr(kinds, return_shape=True)(np.uint32(0))
    found = find_sources(closed.jaxpr)
    numbers = jax.tree.unflatten(jax.tree.structure(shapes), range(len(closed.jaxpr.outvars)))
    left = {name for name, n in numbers.items() if not found.keys() & jax.tree.leaves(n)}
    assert left == {'spread', 'number', 'computed'}


def test_one_program_makes_what_is_split_over_devices(monkeypatch):
    mesh = sharding.make_mesh(fsdp=2)
    monkeypatch.setattr(start_values, '_make_apart', None)
    found = make_start(kinds, 6, mesh)
    places = sharding.layout(jax.eval_shape(kinds, np.uint32(0)), mesh)
    check_alike(found, jax.jit(kinds, out_shardings=places)(np.uint32(6)))


def test_one_program_serves_several_processes(monkeypatch):
    monkeypatch.setattr(start_values, '_make_apart', None)
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    mesh = sharding.make_mesh(jax.devices()[:1])
    found = make_start(kinds, 6, mesh)
    places = sharding.layout(jax.eval_shape(kinds, np.uint32(0)), mesh)
    check_alike(found, jax.jit(draw_in_loops(kinds), out_shardings=places)(np.uint32(6)))


@pytest.mark.parametrize('kind', ['regression', 'vqvae', 'gan', 'flow', 'stylegan', 'video'])
def test_a_run_begins_as_by_one_program(kind):
    task = tasks.make(getattr(tiny, kind)())
    mesh = sharding.make_mesh(jax.devices()[:1])
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), task.batch(1))

    def init(seed):
        return init_tree(task, jax.random.key(seed), batch)

    places = sharding.layout(jax.eval_shape(init, np.uint32(0)), mesh)
    expected = jax.jit(draw_in_loops(init), out_shardings=places)(np.uint32(5))
    check_alike(begin(task, 5, mesh), expected)
