import logging
from types import SimpleNamespace

import jax
import ml_collections
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.checkpoints import corruption
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import begin, fixed_keys, init_tree, load_run
from sr_jax.config.settings import CheckpointSettings
from sr_jax.devices import memory, sharding
from sr_jax.errors import InputError

pytestmark = pytest.mark.usefixtures('one_device', 'toy')


def test_a_network_that_a_task_predicts_with_is_loaded_with_its_run(finished_toy, monkeypatch):
    make, asked = tasks.make, []

    def frozen(load, training):
        asked.append(training)
        return {'prior': load('runs/prior').variables}

    monkeypatch.setattr(tasks, 'make', lambda config: make(config)._replace(frozen=frozen))
    prior = SimpleNamespace(variables={'params': np.float32(3)})
    found = load_run(finished_toy[0], load=lambda source: prior)
    assert found.variables['frozen'] == {'prior': prior.variables}
    assert asked == [False]  # what training alone needs is not asked for
    with pytest.raises(InputError, match='predicts with the network runs/prior beside its own'):
        load_run(finished_toy[0])


def test_reading_a_run_logs_nothing_and_leaves_the_log_as_it_was(finished_toy, monkeypatch):
    logger, lines = logging.getLogger('absl'), []
    handler = logging.Handler()
    monkeypatch.setattr(handler, 'emit', lambda record: lines.append(record.getMessage()))
    monkeypatch.setattr(logger, 'handlers', [handler])
    level = logger.level
    logger.setLevel(logging.WARNING)
    before = (logger.level, list(logger.filters), list(logger.handlers))
    load_run(finished_toy[0])
    assert not lines
    with corruption.quiet_reading():
        logger.warning('this is of somebody else: read only')
    assert lines == ['this is of somebody else: read only']
    assert (logger.level, list(logger.filters), list(logger.handlers)) == before
    logger.setLevel(level)


def test_another_network_of_a_run_is_named(finished_toy):
    with pytest.raises(InputError, match="has no network 'discriminator': "):
        load_run(finished_toy[0], network='discriminator')


def test_a_run_from_before_keys_and_sections_were_there_is_loaded(tmp_path):
    config = tiny.regression()
    old = ml_collections.ConfigDict(config.to_dict())
    del old.mixing, old.optimizer.b3
    settings = CheckpointSettings(every=1, keep_last=1, keep_best=0, best_metric='mse')
    checkpoints = Checkpoints(tmp_path, settings)
    tree = begin(tasks.make(config), 3, sharding.make_mesh())
    checkpoints.save(1, tree, config=old, data=None, metrics=None)
    checkpoints.wait()
    checkpoints.close()
    found = load_run(tmp_path)
    assert (found.step, found.config.to_dict()) == (1, config.to_dict())


def test_what_a_run_cannot_resume_with_is_said_by_its_networks(finished_toy):
    task = load_run(finished_toy[0]).task
    keys = fixed_keys(task._replace(networks={'generator': 'model', 'critic': 'judging'}))
    assert {'config.model.', 'config.optimizer.name:', 'config.judging.'} <= set(keys)
    assert 'config.critic_optimizer.ema_decay:' in keys
    assert 'config.generator_optimizer.name:' not in keys


@pytest.mark.parametrize(
    ('field', 'number'), [('features', 10**6), ('features', 2**31 - 1), ('num_blocks', 200)]
)
def test_networks_that_no_memory_holds_are_refused_before_they_are_made(field, number, monkeypatch):
    monkeypatch.setattr(memory, 'host_memory', lambda: 2**20)
    config = tiny.regression()
    config.model[field] = number
    with pytest.raises(InputError, match=r' take .* on each device, .* fewer or smaller'):
        begin(tasks.make(config), 0, sharding.make_mesh(jax.devices()[:1]))


def test_a_start_is_traced_once(toy):
    task, calls = tasks.make(tiny.tone()), []
    counted = task._replace(init=lambda *given: calls.append(1) or task.init(*given))
    tree = begin(counted, 3, sharding.make_mesh(jax.devices()[:1]))
    assert calls == [1]
    batch = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), task.batch(1))
    expected = jax.jit(lambda key: init_tree(task, key, batch))(jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, tree, expected)
