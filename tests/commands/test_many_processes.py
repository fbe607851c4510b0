"""Several real processes, which exchange arrays by Gloo, against one."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults import one_of_four
from benchmarks.trainers import contents, losses, start_together

TASKS = ('vqvae', 'gan', 'flow')
CONFIGS = {name: f'tests/tiny_run.py:{name}' for name in (*TASKS, 'tone')}


@pytest.fixture(scope='module')
def cache() -> Path:
    """Where all processes keep what they have compiled."""
    return Path(os.environ['JAX_COMPILATION_CACHE_DIR'])


def train(count, workdir, cache, *arguments, name='vqvae', expect=0):
    """Trains to the end; returns what each process has said."""
    flags = ('--config.train.start_from=', *arguments)  # from scratch
    started = start_together(count, workdir, cache, *flags, config=CONFIGS[name])
    statuses = [process.wait(300) for process in started]
    logs = [f'{workdir}.log'] if count == 1 else [f'{workdir}.{i}.log' for i in range(count)]
    said = [Path(log).read_text() for log in logs]
    assert statuses == [expect] * count, '\n'.join(said)
    return said


def assert_same_losses(workdir, expected, tolerance=2e-5):
    (steps, values), (others, wanted) = (
        zip(*losses(path), strict=True) for path in (workdir, expected)
    )
    assert steps == others
    np.testing.assert_allclose(values, wanted, rtol=tolerance)


@pytest.mark.usefixtures('toy')
def test_two_train_as_one_does_and_one_resumes(tmp_path, cache):
    one, two = tmp_path / 'one', tmp_path / 'two'
    train(1, one, cache, name='tone')
    first, second = train(2, two, cache, '--config.train.steps=2', name='tone')
    assert 'step 2/2' in first
    assert 'step 2/2' not in second
    (shown,) = train(1, two, cache, name='tone')
    assert f'resuming from {two}/checkpoints/2' in shown
    assert_same_losses(two, one)
    (arrays, data), (expected, its_data) = contents(two, 4), contents(one, 4)
    assert data == its_data
    for array, wanted in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('name', TASKS)
def test_two_and_four_train_as_one_does(name, tmp_path, cache):
    for count in (1, 2, 4):
        train(count, tmp_path / str(count), cache, name=name)
    for count in (2, 4):
        assert_same_losses(tmp_path / str(count), tmp_path / '1')


@pytest.mark.slow
def test_what_four_have_saved_one_and_two_resume_from(tmp_path, cache):
    train(1, tmp_path / '1', cache)
    for count in (1, 2):
        workdir = tmp_path / f'four_then_{count}'
        train(4, workdir, cache, '--config.train.steps=2')
        said = train(count, workdir, cache)
        assert 'resuming from' in said[0]
        assert_same_losses(workdir, tmp_path / '1')


@pytest.mark.slow
def test_parameters_split_over_two_processes_train_as_one(tmp_path, cache):
    train(1, tmp_path / '1', cache)
    split = ['--config.model.channels=32', '--config.train.fsdp=2']
    train(1, tmp_path / 'whole', cache, split[0])
    train(2, tmp_path / 'split', cache, *split, '--config.train.steps=2')
    train(1, tmp_path / 'split', cache, split[0])
    assert_same_losses(tmp_path / 'split', tmp_path / 'whole')


@pytest.mark.slow
def test_a_signal_to_one_stops_all_after_the_same_step(tmp_path, cache):
    workdir = tmp_path / 'run'
    flags = ['--config.train.steps=100000', '--config.checkpoint.every=1000']
    processes = start_together(2, workdir, cache, *flags, config=CONFIGS['vqvae'])
    while not losses(workdir) and all(process.poll() is None for process in processes):
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(120) for process in processes] == [143, 143]
    stopped = losses(workdir)[-1][0]
    said = Path(f'{workdir}.0.log').read_text()
    assert f'SIGTERM: saving after step {stopped}' in said
    shown = train(1, workdir, cache, f'--config.train.steps={stopped + 1}')[0]
    assert f'resuming from {workdir}/checkpoints/{stopped}' in shown


@pytest.mark.slow
def test_one_of_four_is_killed_and_the_others_name_it(tmp_path):
    assert one_of_four(tmp_path, times=1, seed=0, silence=10.0).problems == ()


def test_a_process_whose_others_do_not_come_says_so(tmp_path, cache):
    workdir = tmp_path / 'run'
    waiting, other = start_together(
        2, workdir, cache, '--connect-timeout=3', config=CONFIGS['vqvae']
    )
    other.kill()
    other.wait(60)
    assert waiting.wait(60) == 1
    assert 'process 0 of 2 did not meet all the others' in Path(f'{workdir}.0.log').read_text()


def refused(workdir, cache, *arguments, last):
    """Two processes that do not fit together: each must end with one message; returns it."""
    processes = start_together(
        2, workdir, cache, *arguments, config=CONFIGS['vqvae'], last=[str(flag) for flag in last]
    )
    assert [process.wait(120) for process in processes] == [1, 1]
    said = [Path(f'{workdir}.{i}.log').read_text() for i in range(2)]
    messages = [text.partition('error: ')[2] for text in said]
    assert all(text.count('error: ') == 1 and 'Traceback' not in text for text in said), said
    return messages


def files_of(workdir):
    return {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file()}


@pytest.mark.slow
def test_processes_with_differing_configs_end_at_once_and_leave_nothing(tmp_path, cache):
    workdir = tmp_path / 'run'
    began = time.monotonic()
    for message in refused(workdir, cache, last=['--config.train.steps=5']):
        assert message.startswith('the config of process 1 is not that of process 0')
        assert 'config.train.steps: 4 -> 5\nStart all the processes with the same' in message
    assert time.monotonic() - began < 60
    assert not workdir.exists()


@pytest.mark.slow
@pytest.mark.parametrize('shared', ['nothing', 'all but the checkpoints'])
def test_a_workdir_that_is_not_shared_is_named_and_nothing_is_lost(shared, tmp_path, cache):
    workdir, other = tmp_path / 'run', tmp_path / 'other'
    train(1, workdir, cache, '--config.train.steps=2')
    before = files_of(workdir)
    other.mkdir()
    if shared != 'nothing':
        for path in workdir.iterdir():
            if path.name != 'checkpoints':
                (other / path.name).symlink_to(path)
    began = time.monotonic()
    for message in refused(workdir, cache, last=['--workdir', other]):
        assert f'its folder {other}/checkpoints is not that of process 0' in message
        assert 'Take a --workdir that all the machines share' in message
    assert time.monotonic() - began < 90
    assert files_of(workdir) == before
    assert f'resuming from {workdir}/checkpoints/2' in train(2, workdir, cache)[0]
