"""Settings that mean nothing without others: refused, or told, before a run begins."""

import pytest
import tiny

from sr_jax import tasks
from sr_jax.devices import memory
from sr_jax.errors import InputError
from sr_jax.training import loop
from sr_jax.training.settings import check_batches, check_contradictions, describe_warmups

pytestmark = pytest.mark.usefixtures('toy')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'optimizer__schedule': 'multistep'}, r"config\.optimizer\.schedule='multistep' changes"),
        ({'seed': -1}, r'config\.seed=-1 must be a whole number from 0'),
        ({'train__memory_limit': 7}, r'config\.train\.memory_limit bounds what .*effective_batch'),
    ],
)
def test_what_contradicts_leaves_nothing_behind_but_is_loaded(changes, message, tmp_path):
    config = tiny.tone(**changes)
    with pytest.raises(InputError, match=message):
        loop.train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
    tasks.make(config)  # as the networks of older runs are


def test_of_several_optimizers_each_is_looked_at():
    config = tiny.changed(tiny.shrink(tiny.srflow_config.get_config('photos')))
    config.optimizer.update(schedule='multistep', milestones=(3,))
    config.train.update(memory_limit=7, effective_batch_size=5)
    check_contradictions(config)
    with config.unlocked():
        config.discriminator_optimizer = dict(schedule='multistep', milestones=(), warmup_steps=9)
    with pytest.raises(InputError, match=r'config\.discriminator_optimizer\.milestones: give'):
        check_contradictions(config)
    assert [line.split('=')[0] for line in describe_warmups(config)] == [
        'config.discriminator_optimizer.warmup_steps'
    ]


@pytest.mark.parametrize(('warmup', 'lines'), [(0, 0), (3, 0), (4, 1), (9, 1)])
def test_a_warm_up_that_does_not_end_is_told(warmup, lines):
    found = describe_warmups(tiny.tone(optimizer__warmup_steps=warmup))
    assert len(found) == lines
    assert all(f'warmup_steps={warmup} and config.train.steps=4: ' in line for line in found)


def test_the_run_tells_it_before_it_begins(one_device, tmp_path, capsys):
    config = tiny.tone(optimizer__warmup_steps=5, train__steps=1, log__samples=0)
    loop.train(config, tmp_path)
    told = capsys.readouterr().out
    assert told.index('config.optimizer.warmup_steps=5 and') < told.index('step 1/1')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'train__accumulation': 10**9},
            r'config\.train\.batch_size times config\.train\.accumulation is \d+000: so many '
            r'examples of [\d.]+ KiB take .* this machine has .* left: take fewer',
        ),
        ({'train__effective_batch_size': 10**17}, r'config\.train\.effective_batch_size is 10+:'),
        ({'evaluation__batch_size': 2**62}, r'config\.evaluation\.batch_size is 4\d+:'),
    ],
)
def test_batches_beyond_the_memory_are_refused_before_one_is_read(
    changes, message, one_device, tmp_path
):
    with pytest.raises(InputError, match=message):
        loop.train(tiny.tone(**changes), tmp_path)


def test_a_batch_may_take_half_of_the_memory(one_device, monkeypatch):
    config = tiny.tone(train__batch_size=3, train__accumulation=5, evaluation__batch_size=14)
    task = tasks.make(config)
    size = sum(4 * x.size for x in task.batch(1).values())
    monkeypatch.setattr(memory, 'host_memory', lambda: 2 * 15 * size)
    check_batches(config, task)
    monkeypatch.setattr(memory, 'host_memory', lambda: 2 * 15 * size - 1)
    with pytest.raises(InputError, match='accumulation is 15'):
        check_batches(config, task)
