import io
import json
import os
import re
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from saved import restored
from tiny import find_toy, tone, vqvae

from sr_jax.checkpoints import metadata
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.checkpoints.run import _saved_task, load_run
from sr_jax.data.pipeline import TrainIterator, train_iterator
from sr_jax.devices import distributed, sharding
from sr_jax.errors import InputError, TrainingError
from sr_jax.inference import networks
from sr_jax.training import loop as command
from sr_jax.training import settings

pytestmark = pytest.mark.usefixtures('one_device', 'toy')


def test_a_run_leaves_everything_that_a_person_looks_for(finished_toy):
    workdir, result = finished_toy
    assert result.step == 4
    assert result.stopped_by is None
    assert result.metrics['images'] == 12
    assert 0 < result.metrics['mse'] < 1
    assert sorted(p.name for p in (workdir / 'checkpoints').iterdir() if p.name.isdigit()) == [
        '2',
        '4',
    ]
    with Image.open(workdir / 'samples' / '00000004.png') as grid:
        assert grid.size == (2 * 16 + 2, 3 * 16 + 2 * 2)
    assert any((workdir / 'tensorboard').iterdir())
    lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    trained_steps = [line['step'] for line in lines if line['event'] == 'train']
    assert trained_steps == [1, 2, 3, 4]
    assert [line['step'] for line in lines if line['event'] == 'validation'] == [2, 4]
    assert all(0 <= line['data_wait'] <= 1 for line in lines if line['event'] == 'train')
    assert json.loads((workdir / 'config.json').read_text())['train']['steps'] == 4


def test_stopping_and_going_on_is_bit_for_bit_the_same(finished, tmp_path, capsys):
    command.train(vqvae(train__steps=2), tmp_path)
    result = command.train(vqvae(), tmp_path)
    assert 'resuming from' in capsys.readouterr().out
    assert result.metrics == finished[1].metrics
    resumed, expected = restored(tmp_path, 4), restored(finished[0], 4)
    jax.tree.map(np.testing.assert_array_equal, resumed.tree, expected.tree)
    assert resumed.data == expected.data


def test_a_run_is_the_same_and_found_whole_where_jax_has_float64(finished_toy, tmp_path, capsys):
    with jax.enable_x64(True):
        result = command.train(tone(), tmp_path)
        run = load_run(tmp_path)
    assert result.metrics == finished_toy[1].metrics
    assert run.step == 4
    assert 'damaged' not in capsys.readouterr().out
    expected = restored(finished_toy[0], 4)
    jax.tree.map(np.testing.assert_array_equal, restored(tmp_path, 4).tree, expected.tree)


def test_soap_goes_on_bit_for_bit_after_its_bases_turned(tmp_path):
    changes = dict(
        optimizer__name='soap', optimizer__precondition_frequency=2, optimizer__ema_decay=0.9
    )
    changes |= dict(train__accumulation=2, log__samples=0)
    command.train(tone(**changes, train__steps=3), tmp_path / 'again')
    for workdir in ('again', 'whole'):
        result = command.train(tone(**changes, train__steps=5), tmp_path / workdir)
    assert result.step == 5
    resumed, expected = (restored(tmp_path / workdir, 5).tree for workdir in ('again', 'whole'))
    jax.tree.map(np.testing.assert_array_equal, resumed, expected)
    (bases,) = (x.bases for x in jax.tree.leaves(
        expected['state'].opt_state, is_leaf=lambda x: hasattr(x, 'bases')
    ) if hasattr(x, 'bases'))
    assert any((x != np.eye(len(x))).any() for x in jax.tree.leaves(bases))
    with pytest.raises(InputError, match=r'config\.optimizer\.max_precondition_dim'):
        command.train(tone(**changes, optimizer__max_precondition_dim=2), tmp_path / 'whole')


def test_a_finished_run_says_so_and_evaluates(finished_toy, capsys):
    result = command.train(tone(), finished_toy[0])
    assert 'all 4 steps are done; raise config.train.steps' in capsys.readouterr().out
    assert result.metrics == finished_toy[1].metrics


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops_and_the_run_resumes(
    number, finished_toy, tmp_path, monkeypatch, capsys
):
    real = command.sharding.put_batch
    calls = []

    def put_batch(batch, mesh):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return real(batch, mesh)

    monkeypatch.setattr(command.sharding, 'put_batch', put_batch)
    config = tone(evaluation__every=100, log__samples=0)
    result = command.train(config, tmp_path)
    monkeypatch.undo()
    assert result.stopped_by == number
    assert result.step == 3
    assert signal.Signals(number).name in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_wait_for_slow_data_is_reported(finished_toy, tmp_path, monkeypatch):
    take = TrainIterator.__next__

    def late(iterator):
        time.sleep(0.5)
        return take(iterator)

    monkeypatch.setattr(TrainIterator, '__next__', late)
    command.train(tone(log__every=3, evaluation__every=100, log__samples=0), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    waits = {line['step']: line['data_wait'] for line in lines if line['event'] == 'train'}
    assert waits[3] > 0.5


def test_json_lines_are_all_that_is_printed(tmp_path, capsys):
    command.train(tone(train__steps=2), tmp_path, log_format='json')
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record['event'] for record in records} == {
        'message',
        'train',
        'validation',
        'summary',
    }


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    real = command.train_iterator

    def poison(*arguments):
        iterator = real(*arguments)
        take = iterator.__class__.__next__

        class Poisoned(iterator.__class__):
            def __next__(self):
                batch = take(self)
                if self.get_state()['crops_taken'] == 12:
                    batch['hq'][0, 0, 0, 0] = np.nan
                return batch

        iterator.__class__ = Poisoned
        return iterator

    monkeypatch.setattr(command, 'train_iterator', poison)
    with pytest.raises(TrainingError) as error:
        command.train(tone(), tmp_path)
    message = str(error.value)
    assert message.startswith('step 3: l2 is nan')
    assert 'first parameter whose gradient is not finite: layer/' in message
    tree = restored(tmp_path, 2).tree
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(tree))
    assert Checkpoints(tmp_path).steps() == [2]


def test_checkpoints_of_another_network_are_refused_by_key(finished_toy):
    with pytest.raises(InputError) as error:
        command.train(tone(model__features=5, train__steps=6), finished_toy[0])
    assert 'config.model.features: 2 -> 5' in str(error.value)
    assert 'another --workdir' in str(error.value)


def test_other_settings_may_change_and_are_told(finished_toy, tmp_path, capsys):
    command.train(tone(train__steps=2), tmp_path)
    command.train(tone(optimizer__learning_rate=1e-5), tmp_path)
    assert 'config.optimizer.learning_rate: 0.0005 -> 1e-05' in capsys.readouterr().out


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(tmp_path, capsys):
    command.train(tone(), tmp_path)
    folder = tmp_path / 'checkpoints'
    _flip_bytes(folder / '4')
    unfinished = folder / '6.orbax-checkpoint-tmp-1'
    unfinished.mkdir()
    result = command.train(tone(train__steps=6), tmp_path)
    shown = capsys.readouterr().out
    assert f'checkpoint {folder / "4"} is damaged' in shown
    assert f'checkpoint {unfinished} was never finished' in shown
    assert f'resuming from {folder / "2"}' in shown
    assert result.step == 6
    assert (folder / 'damaged-4').is_dir()
    assert (folder / '4').is_dir()


def _flip_bytes(folder: Path):
    """Changes a few bytes in the largest file of a checkpoint."""
    largest = max((p for p in folder.rglob('*') if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(largest.read_bytes())
    for i in range(len(data) // 2, len(data) // 2 + 8):
        data[i] ^= 0xFF
    largest.write_bytes(bytes(data))


def test_a_run_of_another_version_is_refused_and_left_as_it_is(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(metadata, 'FORMAT', 1)
        command.train(tone(train__steps=2), tmp_path)
    for action in (lambda: command.train(tone(), tmp_path), lambda: load_run(tmp_path)):
        with pytest.raises(InputError, match='checkpoints/2 was made by another version of sr_jax'):
            action()
    assert Checkpoints(tmp_path).steps() == [2]


def test_all_damaged_is_an_error(tmp_path):
    command.train(tone(train__steps=2), tmp_path)
    _flip_bytes(tmp_path / 'checkpoints' / '2')
    with pytest.raises(InputError, match='all 1 are damaged'):
        load_run(tmp_path)


def test_keep_last_and_keep_best(tmp_path):
    config = tone(train__steps=5, log__samples=0)
    config.checkpoint.update(every=1, keep_last=1, keep_best=1)
    config.evaluation.every = 1
    command.train(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    mse = {line['step']: line['mse'] for line in lines if line['event'] == 'validation'}
    best = min(mse, key=mse.get)
    assert Checkpoints(tmp_path).steps() == sorted({best, 5})
    assert load_run(tmp_path, best=True).step == best


def test_an_effective_batch_is_split_to_fit_the_memory(tmp_path, capsys):
    config = tone(train__effective_batch_size=2, train__steps=1, log__samples=0)
    mesh = sharding.make_mesh()
    whole = settings.measure_step(config, mesh, networks.load, 2, 1, False)
    config.train.memory_limit = whole - 1
    command.train(config, tmp_path)
    chosen = json.loads((tmp_path / 'config.json').read_text())['train']
    assert chosen['batch_size'] * chosen['accumulation'] == 2
    assert chosen['batch_size'] < 2 or chosen['remat']
    shown = capsys.readouterr().out
    assert 'batch_size 2 x accumulation 1, without remat' in shown
    assert 'chosen for 2 images an update' in shown


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'log__every': 0}, 'config.log.every must be at least 1'),
        ({'checkpoint__best_metric': 'pnsr'}, "best_metric='pnsr': did you mean 'psnr'?"),
        ({'evaluation__protocol': 'rgb'}, "no such protocol: 'rgb'; did you mean 'rgb_crop"),
        ({'task': 'vqvea'}, "config.task='vqvea' is unknown: did you mean 'vqvae'?"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(changes, message, tmp_path):
    workdir = tmp_path / 'run'
    with pytest.raises(InputError) as error:
        command.train(tone(**changes), workdir)
    assert message in str(error.value)
    assert not workdir.exists()


@pytest.mark.parametrize('wrong', ['missing', 'empty'])
def test_validation_data_of_no_use_is_told_before_the_first_step(wrong, tmp_path, capsys):
    folder = tmp_path / 'images'
    if wrong == 'empty':
        folder.mkdir()
    with pytest.raises(InputError, match=str(folder)):
        command.train(tone(data__validation_source=f'folder:{folder}'), tmp_path / 'run')
    assert 'step 1' not in capsys.readouterr().out


def test_what_was_learned_is_saved_before_an_image_ends_the_run(tmp_path, capsys):
    """Of validation here: the first example is sound, the second is not."""
    folder = tmp_path / 'images'
    folder.mkdir()
    Image.new('RGB', (19, 23)).save(folder / 'a.png')
    (folder / 'b.png').write_bytes(b'no image')
    changes = dict(evaluation__every=3, checkpoint__every=99, evaluation__batch_size=1)
    source = f'folder:{folder}'
    with pytest.raises(InputError, match=r'b\.png'):
        command.train(tone(data__validation_source=source, **changes), tmp_path / 'run')
    assert 'saving after step 3' in capsys.readouterr().out
    assert Checkpoints(tmp_path / 'run').steps() == [3]


def test_too_large_a_validation_batch_is_named_and_what_was_learned_is_saved(
    tmp_path, monkeypatch
):
    def exhaust(*_):
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory.\nmore')

    monkeypatch.setattr(command, 'evaluate_batches', exhaust)
    config = tone(evaluation__every=3, evaluation__batch_size=13, data__validation_crops=12)
    message = re.escape(
        'config.evaluation.batch_size=13: the device has too little memory for so many validation '
        'images at a time, of which there are 12 at most: take fewer (RESOURCE_EXHAUSTED'
    )
    with pytest.raises(InputError, match=message):
        command.train(config, tmp_path)
    assert (tmp_path / 'checkpoints' / '3').is_dir()


def test_a_workdir_with_no_name_in_utf_8_is_refused(tmp_path):
    with pytest.raises(InputError, match='is no name in UTF-8.* another --workdir'):
        command.train(tone(), tmp_path / os.fsdecode(b'\xff'))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_of_one_is_trained(tmp_path):
    assert command.train(tone(train__batch_size=1, train__steps=2), tmp_path).step == 2


def test_a_batch_must_split_over_the_devices(tmp_path, monkeypatch):
    monkeypatch.undo()  # all eight
    find_toy(monkeypatch)
    with pytest.raises(InputError, match=r'train.batch_size=4 cannot be split over 8 devices'):
        command.train(tone(), tmp_path)


def test_the_live_line_is_for_terminals_only(tmp_path):
    from sr_jax.training.progress import Progress

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    progress = Progress(tmp_path, 10, stream=shown)
    progress.begin(4)
    progress.report_steps(6, {'loss': 0.25, 'reconstruction': 0.2, 'optimizer/learning_rate': 1e-3})
    progress.message('a line')
    progress.close()
    text = shown.getvalue()
    assert '6/10' in text
    assert 'loss 0.25' in text
    assert 'a line\n' in text


def test_a_process_that_sees_other_images_is_named(tmp_path, monkeypatch):
    def gather(text):
        return [text, re.sub(r'"images": \d+', '"images": 7', text)]

    monkeypatch.setattr(distributed, 'gather', gather)
    with pytest.raises(InputError, match='the data of process 1 is not that of process 0') as error:
        command.train(tone(), tmp_path)
    assert re.search(r'data.images: \d+ -> 7\nAll the machines must see', str(error.value))


def test_what_is_wrong_with_a_saved_config_is_told_briefly():
    mesh, config = sharding.make_mesh(jax.devices()[:1]), tone()
    with config.ignore_type():
        config.model.features = 'many ' * 1000
    with pytest.raises(
        InputError, match='^run: the saved config is of no use: config.model.'
    ) as told:
        _saved_task(config, mesh, Path('run'))
    assert 'must be int' in str(told.value) and len(str(told.value)) < 400


def test_a_data_position_of_no_use_names_its_checkpoint():
    iterator = train_iterator(settings.read_settings(tone()).data, 4, 0)
    data = iterator.get_state() | {'crops_taken': -1}
    with pytest.raises(InputError, match='^run/checkpoints/4: .*position.*: crops_taken is no'):
        command.place_data(iterator, data, Path('run/checkpoints/4'))
