import numpy as np

from sr_jax.tasks.shared.evaluation import add_totals, join, means, measure_numbers
from sr_jax.tasks.task import Evaluation


def test_totals_add_up_whichever_has_them():
    first = {'codes': {'top': [1, 2, 3]}, 'pixels': 4}
    second = {'codes': {'top': np.array([10, 0, 0]), 'bottom': [7, 8]}}
    for found in (add_totals(first, second), add_totals(second, first)):
        assert found['codes']['top'].tolist() == [11, 2, 3]
        assert found['codes']['bottom'].tolist() == [7, 8]
        assert found['pixels'] == 4
    alone = add_totals({}, first)
    assert isinstance(alone['codes']['top'], np.ndarray) and alone['pixels'] == 4


def test_several_are_measured_as_one():
    def count(batch, outputs):
        del outputs
        return [{} for _ in batch['hq']], {'seen': len(batch['hq'])}

    counting = Evaluation(count, lambda rows, totals: {'seen': int(totals['seen'])}, {})
    both = join(measure_numbers({'bits': False, 'missing': True}), counting)
    rows, totals = both.measure({'hq': np.zeros((3, 2))}, {'bits': np.array([1.0, 2.0, 6.0])})
    assert rows == [{'bits': 1.0}, {'bits': 2.0}, {'bits': 6.0}]
    assert both.summarize(rows, totals) == {'bits': 3.0, 'seen': 3}
    assert both.higher_is_better == {'bits': False, 'missing': True}


def test_a_mean_does_not_depend_on_the_order():
    rows = [{'x': value} for value in (1e16, 1.0, -1e16, 3.0)]
    assert means(rows, ['x']) == means(rows[::-1], ['x']) == {'x': 1.0}
    assert means([{'x': 1.0}, {}], ['x']) == means([], ['x']) == {}
