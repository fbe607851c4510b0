"""A training as a job: a process of its own that stops with a checkpoint, and goes on."""

import pathlib
import sys
import textwrap
import time

import pytest

from sr_jax.errors import InputError
from sr_jax.page import trainer
from sr_jax.page.jobs import Job
from sr_jax.page.limits import Limits
from sr_jax.page.page import Page
from sr_jax.training.history import read_curves

OWNER = 'm' * 20
CONFIG = """
VARIANTS = ('small', 'large')
raise RuntimeError('it is not run to see what variants there are')
"""
TRAINING = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for step in range(1, 4):
        print(f'step {step}/7  loss 0.5', flush=True)
        time.sleep(0.02)
"""


@pytest.fixture
def page(tmp_path):
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / 'tiny.py').write_text(CONFIG)
    made = Page([], tmp_path / 'runs', tmp_path / 'configs', Limits())
    yield made
    made.close()


def follow(tmp_path, source, work=None):
    """Follows a process; returns its job, once it is over, and what it said of its steps."""
    seen = []

    def watch(job):
        show = job.show

        def note(done, count, message=''):
            seen.append((done, count))
            if work:
                work(job, done)
            show(done, count, message)

        job.show = note
        trainer.follow(job, [sys.executable, '-c', textwrap.dedent(source)], tmp_path / 'log')
        return {}

    job = Job(OWNER, trainer.TRAIN, 'mine', watch)
    job.run(str)
    return job, seen


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(trainer, 'EVERY', 0.005)


def test_it_says_how_far_it_is(tmp_path):
    job, seen = follow(tmp_path, TRAINING)
    assert (job.state, job.message) == ('done', '')
    assert seen[-1] == (3, 7)


def test_stopped_it_may_write_its_checkpoint(tmp_path):
    source = TRAINING + '    time.sleep(60)\n'
    job, _ = follow(tmp_path, source, lambda job, done: job.stop() if done == 3 else None)
    assert job.state == 'cancelled'
    assert job.seconds < 30


def test_what_it_dies_of_is_said(tmp_path):
    source = TRAINING + "    print('error: no such data: x')\n    sys.exit(1)\n"
    job, _ = follow(tmp_path, source)
    assert (job.state, job.message) == ('failed', 'mine: no such data: x')


def test_configs_are_listed_without_running_them(page):
    assert trainer.list_experiments(page.configs) == ['tiny:small', 'tiny:large']
    assert trainer.list_experiments(page.configs / 'missing') == []


@pytest.mark.parametrize(
    ('experiment', 'name', 'steps'),
    [('tiny:huge', 'x', 1), ('../x', 'x', 1), ('tiny:small', '../x', 1), ('tiny:small', 'x', -1)],
)
def test_what_cannot_be_meant_is_refused(page, experiment, name, steps):
    with pytest.raises(InputError):
        trainer.start(page, OWNER, experiment, name, steps)


def test_the_command_is_that_of_train(page, monkeypatch):
    seen = []
    monkeypatch.setattr(trainer, 'follow', lambda job, command, log: seen.append(command))
    trainer.start(page, OWNER, 'tiny:large', 'mine', 30)
    until = time.monotonic() + 10
    while not page.jobs.find(OWNER, trainer.TRAIN)[0].is_over:
        assert time.monotonic() < until
        time.sleep(0.01)
    (command,) = seen
    assert command[1:6] == ['-m', 'sr_jax', 'train', '--config', f'{page.configs}/tiny.py:large']
    assert command[6:] == ['--workdir', str(page.runs / 'mine'), '--config.train.steps=30']


def settle(job, seconds=300.0, until=lambda job: job.is_over):
    limit = time.monotonic() + seconds
    while not until(job):
        assert time.monotonic() < limit, job.message
        time.sleep(0.05)
    return job


@pytest.mark.slow
def test_a_run_is_stopped_and_gone_on_with(tmp_path, monkeypatch):
    root = pathlib.Path(__file__).parents[2]
    monkeypatch.setenv('PYTHONPATH', f'{root}:{root / "tests"}')
    monkeypatch.setenv('XLA_FLAGS', '--xla_backend_optimization_level=0')  # and one device
    tiny = 'import tiny_run\n\nVARIANTS = ("vqvae",)\nget_config = tiny_run.get_config\n'
    (tmp_path / 'tiny.py').write_text(tiny)
    page = Page([], tmp_path / 'runs', tmp_path, Limits())
    trainer.start(page, OWNER, 'tiny:vqvae', 'mine', 2000)
    (job,) = page.jobs.find(OWNER, trainer.TRAIN)
    settle(job, until=lambda job: job.done > 1 or job.is_over)
    assert job.count == 2000, job.message
    job.stop()
    assert settle(job).state == 'cancelled'
    losses = read_curves(page.runs / 'mine')['train/loss']
    stopped = losses[-1][0]
    assert 1 < stopped < 2000
    trainer.start(page, OWNER, 'tiny:vqvae', 'mine', stopped + 3)
    job = settle(page.jobs.find(OWNER, trainer.TRAIN)[1])
    assert (job.state, job.message) == ('done', '')
    assert read_curves(page.runs / 'mine')['train/loss'][-1][0] == stopped + 3
    page.close()
