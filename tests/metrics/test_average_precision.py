import sys

import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.metrics.average_precision import NAMES, Found, average_precision

TRUTH = np.array([[2, 3, 22, 33, 0], [40, 40, 60, 55, 1.0]])


def test_all_that_is_found_is_one_and_nothing_is_zero():
    pytest.importorskip('pycocotools')
    right = average_precision([Found(TRUTH, TRUTH, np.array([0.9, 0.4]))], 3)
    assert right['ap'] == pytest.approx(1) and right['ap_50'] == pytest.approx(1)
    assert tuple(right) == NAMES and right['ap_large'] == -1
    nothing = average_precision([Found(TRUTH, TRUTH[:0], np.zeros(0))], 3)
    assert nothing['ap'] == 0


def test_a_wrong_box_before_the_right_one_halves_the_precision_of_its_class():
    pytest.importorskip('pycocotools')
    wrong = np.array([[70, 70, 90, 90, 0.0]])
    found = Found(TRUTH, np.concatenate([wrong, TRUTH]), np.array([0.95, 0.9, 0.4]))
    assert average_precision([found], 2)['ap_50'] == pytest.approx((0.5 + 1) / 2)


def test_boxes_are_compared_within_their_image():
    pytest.importorskip('pycocotools')
    images = [Found(TRUTH, TRUTH[:0], np.zeros(0)), Found(TRUTH[:0], TRUTH, np.ones(2))]
    assert average_precision(images, 2)['ap'] == 0


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    monkeypatch.setitem(sys.modules, 'pycocotools.coco', None)
    with pytest.raises(InputError, match=r"pip install 'sr_jax\[detection\]'"):
        average_precision([], 2)
