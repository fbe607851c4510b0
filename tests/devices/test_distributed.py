import json
from pathlib import Path

import pytest

from sr_jax.devices import distributed
from sr_jax.devices.distributed import Processes
from sr_jax.errors import InputError


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (dict(coordinator='a:1'), 'belong together: give all three'),
        (dict(count=2, index=0), 'belong together: give all three'),
        (dict(coordinator='a:1', count=2, index=0, detect=True), 'leave one out'),
        (dict(coordinator='a', count=2, index=0), '--coordinator=a: say host:port'),
        (dict(coordinator='a:1', count=2, index=2), '--process=2 must be from 0 to 1'),
        (dict(coordinator='a:1', count=0, index=0), '--processes must be at least 1'),
        (dict(silence=0.0), 'must be above 0'),
    ],
)
def test_half_given_flags_are_named(flags, message):
    with pytest.raises(InputError) as error:
        Processes(**flags)
    assert message in str(error.value)


def test_a_process_alone_meets_nobody():
    assert not Processes().together
    assert distributed.run_together(Processes(), lambda: 7) == 7
    assert distributed.gather('text') == ['text']
    assert distributed.agree('') == ''
    assert distributed.agree('a problem') == 'a problem'
    distributed.check_alike('{}', 'config', 'Do something')
    distributed.check_shared(Path('/nowhere'))
    assert distributed.is_first()


def meet(monkeypatch, *others, index=0):
    """Makes this process one of several: the others say to `gather` what they are given."""
    said = list(others)

    def gather(text):
        answers = said.pop(0) if said else [text]
        return [*answers[:index], text, *answers[index:]]

    monkeypatch.setattr(distributed, 'gather', gather)
    monkeypatch.setattr(distributed.jax, 'process_count', lambda: 2)
    monkeypatch.setattr(distributed.jax, 'process_index', lambda: index)
    monkeypatch.setattr(distributed, 'SHARED_FOLDER_WAIT', 0.3)


def test_values_that_differ_are_named_with_the_remedy(monkeypatch):
    values = {'train': {'steps': 4, 'batch_size': 8}, 'seed': 0}
    other = {'train': {'steps': 5, 'batch_size': 8}, 'seed': 0, 'dtype': 'float16'}
    meet(monkeypatch, [json.dumps(values)] * 2 + [json.dumps(other)])
    with pytest.raises(InputError) as error:
        distributed.check_alike(json.dumps(values), 'config', 'Start them alike')
    assert str(error.value) == (
        'the config of process 3 is not that of process 0 (0 -> 3):\n'
        '  config.dtype: (absent) -> float16\n'
        '  config.train.steps: 4 -> 5\n'
        'Start them alike'
    )


def test_a_folder_that_all_see_is_left_as_it_was(tmp_path, monkeypatch):
    (tmp_path / '2').mkdir()
    meet(monkeypatch)
    distributed.check_shared(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['2']


def test_a_folder_of_ones_own_is_named(tmp_path, monkeypatch):
    meet(monkeypatch, ['a token'], [''], ['[]'], [''], index=1)
    with pytest.raises(InputError, match=f'folder {tmp_path} is not that of process 0. Take'):
        distributed.check_shared(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('seen', [['2'], ['2', '4', '6']])
def test_a_folder_that_shows_another_state_is_named(seen, tmp_path, monkeypatch):
    for name in ('2', '4', '.shared.a token'):
        (tmp_path / name).mkdir()
    meet(monkeypatch, ['a token'], [''], [json.dumps(seen)], [''], index=1)
    with pytest.raises(InputError, match='differ in [46]. Take a --workdir that all') as error:
        distributed.check_shared(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_folder_that_shows_its_files_late_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / '.shared.a token').mkdir()
    meet(monkeypatch, ['a token'], [''], ['["4"]'], [''], index=1)
    look = distributed._list_visible
    looks = []

    def late(folder):
        looks.append(1)
        if len(looks) == 3:
            (tmp_path / '4').mkdir()
        return look(folder)

    monkeypatch.setattr(distributed, '_list_visible', late)
    distributed.check_shared(tmp_path)
    assert len(looks) == 3


@pytest.mark.parametrize('index', [0, 1])
def test_a_folder_that_cannot_be_written_is_told_to_all(index, tmp_path, monkeypatch):
    gone = tmp_path / 'gone'
    if index:
        meet(monkeypatch, ['a token'], ['/x cannot be written: no space'], index=1)
        with pytest.raises(InputError, match='process 0: /x cannot be written'):
            distributed.check_shared(tmp_path)
    else:
        meet(monkeypatch, ['ignored'], [''])
        with pytest.raises(InputError, match=f'{gone}/.shared.* cannot be written: No such'):
            distributed.check_shared(gone)
