"""What may happen to a run besides a signal: each has a clear end, and nothing saved is lost."""

import json
import re
import shutil
import time

import jax
import numpy as np
import pytest
from PIL import Image
from saved import restored
from tiny import tone

from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.errors import InputError
from sr_jax.training import loop as command
from sr_jax.training.settings import read_settings

pytestmark = pytest.mark.usefixtures('one_device', 'toy')


def before_step(number, act, monkeypatch):
    """Does something right before a step begins."""
    put_batch, calls = command.sharding.put_batch, []

    def acting(batch, mesh):
        if 'mask' not in batch:
            calls.append(1)
            if len(calls) == number:
                act()
        return put_batch(batch, mesh)

    monkeypatch.setattr(command.sharding, 'put_batch', acting)


def test_a_workdir_that_vanishes_is_named(tmp_path, monkeypatch):
    workdir = tmp_path / 'run'
    before_step(3, lambda: shutil.rmtree(workdir), monkeypatch)
    with pytest.raises(InputError, match=f'the workdir {workdir} has gone while the run went on'):
        command.train(tone(log__samples=0), workdir)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in 'abc':
        pixels = random.integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{name}.png')
    return folder


def from_folder(images, **changes):
    return tone(
        data__source=f'folder:{images}',
        data__validation_source='photos',
        data__cache_bytes=0,
        log__samples=0,
        train__steps=12,
        **changes,
    )


def test_a_data_file_that_vanishes_ends_the_run_by_name(images, tmp_path, monkeypatch):
    before_step(3, (images / 'b.png').unlink, monkeypatch)
    with pytest.raises(InputError, match=r'(?s)max_rejected=0.*b\.png: '):
        command.train(from_folder(images), tmp_path / 'run')
    assert Checkpoints(tmp_path / 'run').steps()[-1] >= 3, 'it is saved first'


def test_or_it_is_passed_over_by_name_where_that_is_allowed(
    images, tmp_path, monkeypatch, capsys
):
    before_step(3, (images / 'b.png').unlink, monkeypatch)
    result = command.train(from_folder(images, data__max_rejected=1), tmp_path / 'run')
    assert result.step == 12
    assert len(re.findall(r'skipped image \S*b\.png: ', capsys.readouterr().out)) == 1
    (name,) = restored(tmp_path / 'run', 12).data['rejected']
    assert name.endswith('b.png')


@pytest.mark.parametrize('jump', [-10 * 365 * 86400, 10 * 365 * 86400])
def test_a_clock_that_jumps_changes_nothing(jump, finished_toy, tmp_path, monkeypatch):
    true_time, true_time_ns = time.time, time.time_ns

    def set_the_clock():
        monkeypatch.setattr(time, 'time', lambda: true_time() + jump)
        monkeypatch.setattr(time, 'time_ns', lambda: true_time_ns() + jump * 10**9)

    before_step(3, set_the_clock, monkeypatch)
    assert command.train(tone(), tmp_path).metrics == finished_toy[1].metrics
    arrays, expected = restored(tmp_path, 4).tree, restored(finished_toy[0], 4).tree
    jax.tree.map(np.testing.assert_array_equal, arrays, expected)
    lines = map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines())
    assert all(line['steps_per_second'] >= 0 for line in lines if line['event'] == 'train')


def copy_of(finished_toy, tmp_path):
    shutil.copytree(finished_toy[0], tmp_path / 'run')
    return tmp_path / 'run'


def test_a_changed_digit_of_the_datas_position_is_noticed(finished_toy, tmp_path, capsys):
    workdir = copy_of(finished_toy, tmp_path)
    path = workdir / 'checkpoints' / '4' / 'run' / 'metadata'
    text = path.read_text()
    assert text.count('"crops_taken": 16') == 1
    path.write_text(text.replace('"crops_taken": 16', '"crops_taken": 17'))
    assert command.train(tone(), workdir).step == 4
    shown = capsys.readouterr().out
    assert f'checkpoint {path.parents[1]} is damaged: its config, its fingerprints or' in shown
    assert f'resuming from {workdir}/checkpoints/2' in shown


def test_unreadable_metrics_do_not_keep_a_run_from_going_on(finished_toy, tmp_path, capsys):
    workdir = copy_of(finished_toy, tmp_path)
    path = workdir / 'checkpoints' / '4' / 'metrics' / 'metrics'
    path.write_bytes(b'\xff' + path.read_bytes()[1:])
    assert Checkpoints(workdir).best_step('mse', False) == 2
    result = command.train(tone(), workdir)
    shown = capsys.readouterr().out
    assert f'checkpoint {path.parents[1]} is damaged: its metrics: ' in shown
    assert f'resuming from {workdir}/checkpoints/2' in shown
    assert (workdir / 'checkpoints' / 'damaged-4').is_dir()
    assert result.metrics == finished_toy[1].metrics


@pytest.mark.parametrize('text', ['0', '{"commit_timestamp_nsecs": 1e300}'])
def test_what_orbax_cannot_open_is_set_aside(text, finished_toy, tmp_path):
    workdir = copy_of(finished_toy, tmp_path)
    path = workdir / 'checkpoints' / '4'
    (path / '_CHECKPOINT_METADATA').write_text(text)
    (workdir / 'checkpoints' / '4-mine' / 'metrics').mkdir(parents=True)
    (workdir / 'checkpoints' / '4-mine' / 'metrics' / 'metrics').write_text('{')  # a copy of a user
    found = Checkpoints(workdir, read_settings(tone()).checkpoint)
    assert found.steps() == [2]
    found.close()
    kept = {path.name for path in (workdir / 'checkpoints').iterdir()}
    assert kept == {'2', 'damaged-4', '4-mine'}


def test_a_metric_that_was_not_measured_is_named(finished_toy):
    found = Checkpoints(finished_toy[0])
    with pytest.raises(InputError, match="best_metric='bits_per_dimension' was not measured .*mse"):
        found.best_step('bits_per_dimension', False)


def test_a_run_from_before_a_key_was_there_resumes(finished_toy, tmp_path, capsys):
    config = tone(train__steps=2)
    with config.unlocked():
        del config.train['fsdp'], config.model['features']
    command.train(config, tmp_path)
    assert command.train(tone(), tmp_path).metrics == finished_toy[1].metrics
    shown = capsys.readouterr().out
    assert 'differs from the saved run: config.train.steps: 2 -> 4' in shown
    assert 'absent' not in shown
