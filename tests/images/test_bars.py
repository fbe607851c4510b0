import numpy as np

from sr_jax.images import bars


def test_a_bar_is_as_long_as_the_class_is_probable():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.0, 0.2, 0.8]], np.float32)
    drawn = bars.draw(probabilities, np.array([0, 1]), (9, 20))
    assert drawn.shape == (2, 9, 20, 3)
    lengths = (drawn.min(axis=3) < 1).sum(axis=2)
    assert lengths[0].tolist() == [10] * 3 + [5] * 6
    assert lengths[1].tolist() == [0] * 3 + [4] * 3 + [16] * 3
    np.testing.assert_allclose(drawn[0, 0, 0], bars.GREEN)
    np.testing.assert_allclose(drawn[0, 4, 0], bars.GRAY)
    np.testing.assert_allclose(drawn[1, 4, 0], bars.GREEN)
    np.testing.assert_allclose(drawn[1, 8, 0], bars.RED)


def test_of_many_classes_the_first_are_drawn():
    drawn = bars.draw(np.full((1, 50), 0.5, np.float32), np.array([49]), (64, 6))
    assert ((drawn.min(axis=3) < 1).sum(axis=2) == 3).all()
