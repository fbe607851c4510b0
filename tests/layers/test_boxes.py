import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers import boxes

FIRST = jnp.asarray([[0, 0, 4, 6], [2, 3, 5, 7], [0, 0, 1, 1.0]])
SECOND = jnp.asarray([[2, 3, 6, 9], [2, 3, 5, 7], [3, 4, 5, 7.0]])


def test_overlaps_of_pairs():
    shared, covered = 2 * 3, 24 + 24 - 6
    found = jax.jit(boxes.intersection_over_union)(FIRST, SECOND)
    np.testing.assert_allclose(found, [shared / covered, 1, 0], rtol=1e-5)
    found = jax.jit(boxes.generalized_overlap)(FIRST, SECOND)
    hulls = [6 * 9, 12, 5 * 7]
    empty = [hulls[0] - covered, 0, hulls[2] - 1 - 6]
    expected = [shared / covered - empty[0] / hulls[0], 1, -empty[2] / hulls[2]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(('threshold', 'expected'), [(0.6, [1, 0, 1, 1]), (0.9, [1, 1, 1, 1])])
def test_less_certain_boxes_go(threshold, expected):
    chain = jnp.asarray([[0, 0, 10, 5], [2, 0, 12, 5], [4, 0, 14, 5], [30, 0, 33, 2.0]])
    # The second overlaps the first and the third by 2/3, these each other by 6/14.
    found = jax.jit(boxes.suppress)(chain, threshold)
    assert found.tolist() == [bool(x) for x in expected]
