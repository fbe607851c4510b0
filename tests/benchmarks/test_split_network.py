import json

import pytest

from benchmarks import split_network


def test_two_losses_of_a_step_are_told(tmp_path):
    for name, second in (('a', 0.25), ('b', 0.125)):
        records = [
            {'event': 'train', 'step': s, 'loss': loss} for s, loss in ((1, 0.5), (2, second))
        ]
        (tmp_path / name).mkdir()
        (tmp_path / name / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, records)))
    runs = [tmp_path / 'a', tmp_path / 'b']
    assert split_network.disagreements(runs[:1]) == []
    assert split_network.disagreements(runs) == ['b: step 2 had a loss of 0.25 and of 0.125']


@pytest.mark.slow
def test_a_cut_is_noticed_and_got_over(tmp_path):
    try:
        machines = split_network.Machines().__enter__()
    except RuntimeError as error:
        pytest.skip(str(error))  # it takes the rights of root
    try:
        cut = split_network.split(machines, tmp_path / 'run', tmp_path / 'xla', 1.0)
    finally:
        machines.__exit__(None, None, None)
    assert cut.problems == ()
    assert split_network.disagreements([tmp_path / 'run']) == []
