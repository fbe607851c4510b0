import numpy as np
import pytest
from sr_jax.kernels.switched_conv.cases import SMALL
from sr_jax.kernels.switched_conv.triton import gpu_check


@pytest.fixture(scope='module')
def found():
    """What the check says of a case in bfloat16, on the interpreter."""
    checked = gpu_check.check(SMALL[0], 'bfloat16', None, 'triton_interpret')
    return {name: (off, limit) for name, off, limit in checked}


def test_everything_is_compared(found):
    assert {*gpu_check.RESULTS, *gpu_check.SECOND_RESULTS} < set(found)
    assert {'grad x, masked', 'routing', 'same bits again', 'NaN without a kernel'} < set(found)
    for name, (off, limit) in found.items():
        assert off <= limit, name


def test_results_are_rounded_and_not_those_that_they_are_compared_with(found):
    for name in (*gpu_check.RESULTS, *gpu_check.SECOND_RESULTS):
        assert found[name][0] > 1e-4, name


def test_a_wrong_result_is_named(monkeypatch):
    faults = [('output', 1e-3, 8e-3), ('grad x', float('nan'), 8e-3), ('routing', 1.0, 0.5)]
    monkeypatch.setattr(gpu_check, 'check', lambda *args: iter(faults))
    line, wrong = gpu_check._line((0, 'float32', 'highest'))
    assert wrong == 2
    assert line.startswith('0 2x7x9x3x4x5x3x1 float32 highest: ')
    assert line.endswith('WRONG: grad x, routing')


def test_errors_are_relative_and_nan_stays():
    assert gpu_check.error(np.asarray([3.0, 4.0]), np.asarray([3.0, 3.0])) == pytest.approx(
        18**-0.5
    )
    assert np.isnan(gpu_check.error(np.asarray([np.nan]), np.asarray([1.0])))


def test_without_a_gpu_nothing_is_said_to_be_checked(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['gpu_check'])
    assert gpu_check.main() == 1
    assert 'no NVIDIA GPU' in capsys.readouterr().out
