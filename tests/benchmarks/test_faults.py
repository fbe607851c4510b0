import signal

import pytest

from benchmarks import faults
from benchmarks.trainers import tiny


@pytest.mark.slow
def test_a_run_that_is_killed_resumes_as_if_unbroken(tmp_path):
    flags = tiny(train__steps=60, checkpoint__every=2)
    killing = faults.Killing(tmp_path, signal.SIGKILL, 2, flags)
    outcome = killing.run(1)
    assert outcome.problems == ()
    assert outcome.tried == 1
    (workdir, *_) = sorted(tmp_path.glob('run?'))
    killing._expected[1] += 1e-7
    killing._check_start(workdir, [], 0)
    assert killing._outcome.problems == ('run1: another loss in step 1',)


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_fifty_random_moments(number, tmp_path):
    outcome = faults.Killing(tmp_path, number, 0, tiny()).run(50)
    assert outcome.problems == ()
    assert outcome.tried == 50


@pytest.mark.slow
def test_changed_bytes_are_noticed_or_without_effect(tmp_path):
    outcome, noticed = faults.flip(tmp_path, 40, 0)
    assert outcome.problems == ()
    assert noticed > 5
