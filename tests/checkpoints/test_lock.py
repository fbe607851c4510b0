"""Two runs are not in one folder at a time."""

import os

import pytest
from tiny import tone

from sr_jax.checkpoints.lock import hold
from sr_jax.errors import InputError
from sr_jax.training import loop


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path):
    said = []
    for _ in range(2):
        with hold(tmp_path, said.append):
            message = rf'another job writes {tmp_path} \(process {os.getpid()} of .*--workdir'
            with pytest.raises(InputError, match=message), hold(tmp_path, said.append):
                pass
    assert said == []


@pytest.mark.usefixtures('one_device', 'toy')
def test_it_leaves_the_checkpoints_of_the_first_alone(tmp_path):
    being_written = tmp_path / 'checkpoints' / '1.orbax-checkpoint-tmp'
    being_written.mkdir(parents=True)
    with hold(tmp_path, print), pytest.raises(InputError, match='another job writes'):
        loop.train(tone(), tmp_path)
    assert being_written.is_dir()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    message = 'absent cannot be written: No such file or directory'
    with pytest.raises(InputError, match=message), hold(tmp_path / 'absent', print):
        pass
