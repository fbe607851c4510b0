import json
import signal

import numpy as np
import pytest

from benchmarks import faults


def test_a_run_that_is_killed_goes_on_as_if_unbroken(tmp_path):
    flags = faults.tiny(train__steps=60, checkpoint__every=2)
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
    outcome = faults.Killing(tmp_path, number, 0, faults.tiny()).run(50)
    assert outcome.problems == ()
    assert outcome.tried == 50


@pytest.mark.slow
def test_changed_bytes_are_noticed_or_without_effect(tmp_path):
    outcome, noticed = faults.flip(tmp_path, 40, 0)
    assert outcome.problems == ()
    assert noticed > 5


def test_half_a_line_of_metrics_is_not_read(tmp_path):
    line = json.dumps({'event': 'train', 'step': 1, 'loss': 0.5})
    (tmp_path / 'metrics.jsonl').write_text(f'{line}\n{line[:20]}')
    assert faults.losses(tmp_path) == [(1, 0.5)]
    assert faults.losses(tmp_path / 'nowhere') == []


def test_contents_that_differ_in_a_bit_are_not_the_same():
    first, other = np.zeros(3, np.float32), np.zeros(3, np.float32)
    other[1] = -0.0
    assert faults.same(([first], {'a': 1}), ([first.copy()], {'a': 1}))
    assert not faults.same(([first], {'a': 1}), ([other], {'a': 1}))
    assert not faults.same(([first], {'a': 1}), ([first], {'a': 2}))
