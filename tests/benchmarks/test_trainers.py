import json

import numpy as np

from benchmarks import trainers


def test_half_a_line_of_metrics_is_not_read(tmp_path):
    line = json.dumps({'event': 'train', 'step': 1, 'loss': 0.5})
    (tmp_path / 'metrics.jsonl').write_text(f'{line}\n{line[:20]}')
    assert trainers.losses(tmp_path) == [(1, 0.5)]
    assert trainers.losses(tmp_path / 'nowhere') == []


def test_contents_that_differ_in_a_bit_are_not_the_same():
    first, other = np.zeros(3, np.float32), np.zeros(3, np.float32)
    other[1] = -0.0
    assert trainers.same(([first], {'a': 1}), ([first.copy()], {'a': 1}))
    assert not trainers.same(([first], {'a': 1}), ([other], {'a': 1}))
    assert not trainers.same(([first], {'a': 1}), ([first], {'a': 2}))
