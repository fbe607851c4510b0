import numpy as np
import pytest

from sr_jax.metrics.calibration import expected_calibration_error


def test_it_is_the_weighted_gap_of_each_bin():
    confidence = np.array([0.1, 0.2, 0.7, 0.75, 1.0])
    correct = np.array([False, True, True, False, True])
    # Bins of a quarter: (0.1, 0.2), (0.7, 0.75) and (1.0).
    expected = (abs(0.3 - 1) + abs(1.45 - 1) + abs(1.0 - 1)) / 5
    assert expected_calibration_error(confidence, correct, 4) == pytest.approx(expected)


def test_a_value_on_a_border_belongs_to_the_lower_bin():
    found = expected_calibration_error(np.array([0.5, 0.3]), np.array([True, False]), 2)
    assert found == pytest.approx(abs(0.8 - 1) / 2)


def test_the_order_does_not_matter():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(1001), rng.random(1001) < 0.7
    turned = expected_calibration_error(confidence[::-1], correct[::-1])
    assert expected_calibration_error(confidence, correct) == turned
