import numpy as np
import pytest

from sr_jax.metrics import confusion

COUNTS = np.array([[5, 1, 0], [2, 4, 0], [0, 0, 0]])


def test_intersection_over_union_of_each_class():
    found = confusion.intersection_over_union(COUNTS)
    np.testing.assert_allclose(found[:2], [5 / 8, 4 / 7])
    assert np.isnan(found[2])


def test_accuracy_is_the_share_of_the_diagonal():
    assert confusion.accuracy(COUNTS) == pytest.approx(9 / 12)
    assert np.isnan(confusion.accuracy(np.zeros((2, 2), int)))


def test_what_one_label_tells_of_the_other():
    assert confusion.mutual_information(np.diag([3, 3, 3, 3])) == pytest.approx(2)
    assert confusion.mutual_information(np.ones((4, 7), int)) == pytest.approx(0, abs=1e-12)
    both = np.array([[2, 1], [0, 5]])
    rows, columns, alike = both.sum(axis=1), both.sum(axis=0), both.ravel()
    expected = sum(map(confusion.entropy, (rows, columns))) - confusion.entropy(alike)
    assert confusion.mutual_information(both) == pytest.approx(expected)


def test_entropy_is_in_bits():
    assert confusion.entropy(np.array([4, 2, 2, 0])) == pytest.approx(1.5)
