import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from sr_jax import __main__ as verbs
from sr_jax import main as training
from sr_jax.config import extension
from sr_jax.training import loop

ROOT = pathlib.Path(__file__).parents[1]
SELDOM = [
    '--config.data.validation_crops=8',
    '--config.evaluation.every=1000000',
    '--config.checkpoint.every=1000000',
    '--config.log.samples=0',
    '--config.log.every=10',
]


@pytest.fixture
def main(monkeypatch):
    """Runs main in the repository's folder."""
    monkeypatch.chdir(ROOT)

    return lambda *arguments: training.main(['main', *map(str, arguments)])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'say what to train, such as --config configs/vqvae.py'),
        (
            ['--config', 'configs/vqvea.py'],
            'no config configs/vqvea.py: did you mean configs/vqvae',
        ),
        (['--config=configs/vqvae.py:imagnet'], "no variant 'imagnet' of vqvae; valid: photos"),
        (
            ['--config=configs/vqvae.py', '--config.train.batchsize=3'],
            "no key 'batchsize': did you mean 'batch_size'?",
        ),
        (['--config=configs/vqvae.py', '--config.train.batch_size=abc'], 'train.batch_size'),
        (['--config=configs/vqvae.py', '--wrokdir=x'], 'workdir'),
        (['--config=configs/vqvae.py', '--log-format=xml'], 'log-format'),
        (['--config=configs/vqvae.py', 'stray'], 'not a flag: stray'),
    ],
)
def test_a_wrong_command_line_gets_one_message_and_status_1(arguments, message, main, capsys):
    assert main(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert message in error
    assert len(error.splitlines()) <= 3


def test_the_environment_does_not_choose_the_type_that_is_computed_in(monkeypatch):
    monkeypatch.setenv('JAX_ENABLE_X64', '1')
    verbs.main(['no-verb'])
    assert os.environ['JAX_ENABLE_X64'] == '0'


def test_overrides_reach_the_training_and_the_workdir_has_a_default(main, monkeypatch):
    seen = []

    def note(config, workdir, log_format):
        seen.append((config.train.batch_size, config.is_locked, workdir, log_format))
        return loop.Result(1, {}, None)

    monkeypatch.setattr(loop, 'train', note)
    assert main('--config', 'configs/vqvae.py:demo', '--config.train.batch_size=3') == 0
    assert seen == [(3, True, 'runs/vqvae_demo', 'text')]


def test_a_stopped_run_has_the_status_of_its_signal(main, monkeypatch):
    stopped = loop.Result(1, {}, signal.SIGTERM)
    monkeypatch.setattr(loop, 'train', lambda *arguments: stopped)
    assert main('--config', 'configs/vqvae.py') == 143


def test_help_names_every_flag(main, capsys):
    assert main('--help') == 0
    shown = capsys.readouterr().out
    assert all(f'--{name}' in shown for name in ('config', 'workdir', 'log-format'))


@pytest.mark.parametrize(
    ('verb', 'network'),
    [
        *(('evaluate', 'RUN'), ('benchmark', 'SOURCE'), ('reconstruct', 'RUN')),
        *(('flow-report', 'RUN'), ('upscale', 'run'), ('config', 'PATH')),
        *(('film-report', 'FILM'), ('segment', 'RUN'), ('detect', 'RUN')),
    ],
)
def test_every_verb_explains_itself(verb, network, capsys):
    with pytest.raises(SystemExit) as done:
        verbs.main([verb, '--help'])
    assert done.value.code == 0
    assert network in capsys.readouterr().out


def test_training_by_its_verb_has_the_same_help(main, capsys):
    assert verbs.main(['train', '--help']) == 0
    assert '--workdir' in capsys.readouterr().out


def start(workdir, *arguments, **kwargs):
    """Trains the task of one layer as a process of its own."""
    command = [sys.executable, '-m', 'sr_jax.main', '--config', 'tests/tiny_run.py:tone', *SELDOM]
    found = {'PYTHONPATH': f'{ROOT}:{ROOT / "tests"}', extension.VARIABLE: f'{ROOT / "tests/toy"}'}
    return subprocess.Popen(
        [*command, '--workdir', str(workdir), *arguments],
        cwd=ROOT,
        env={**os.environ, **found, 'XLA_FLAGS': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_sigterm_saves_exits_143_and_the_same_command_resumes(tmp_path):
    process = start(tmp_path, '--config.train.steps=100000')
    watchdog = threading.Timer(240, process.kill)  # should the line never come
    watchdog.start()
    for line in process.stdout:
        if line.startswith('step 10/'):
            process.send_signal(signal.SIGTERM)
            break
    out, error = process.communicate(timeout=120)
    watchdog.cancel()
    assert process.returncode == 143, error
    assert 'SIGTERM: saving after step' in out
    assert 'the same command resumes from here' in out
    (saved,) = [int(p.name) for p in (tmp_path / 'checkpoints').iterdir()]
    process = start(tmp_path, f'--config.train.steps={saved + 1}')
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert f'resuming from {tmp_path / "checkpoints" / str(saved)}' in out


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system of memory, or skips where that is not allowed."""
    folder = tmp_path / 'mounted'
    folder.mkdir()

    def mounted(options):
        command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip('mounting a file system needs the rights of root')
        return folder

    yield mounted
    subprocess.run(['umount', str(folder)], capture_output=True, check=False)


def test_a_read_only_workdir_is_one_message(mount):
    process = start(mount('size=1m,ro') / 'run')
    out, error = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert error.splitlines()[-1].startswith('error: ')
    assert 'it cannot be written; take another folder' in error
    assert 'Traceback' not in error


def test_a_full_disk_is_one_message_and_the_checkpoint_before_it_is_kept(mount):
    workdir = mount('size=3m')
    process = start(
        workdir, '--config.train.steps=200', '--config.checkpoint.every=1',
        '--config.checkpoint.keep_last=100',
    )  # fmt: skip
    out, error = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert 'the disk is full' in error
    assert 'Traceback' not in error
    folder = workdir / 'checkpoints'
    assert any(p.name.isdigit() for p in folder.iterdir())
    assert not list(folder.glob('*tmp*'))
    last = max(folder.iterdir(), key=lambda path: int(path.name))
    process = start(workdir, '--config.train.steps=1')
    out, error = process.communicate(timeout=120)
    assert f'resuming from {last}' in out, error
