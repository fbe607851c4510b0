import numpy as np

from sr_jax.images.boxes import draw
from sr_jax.images.selector_map import palette


def test_a_frame_is_around_the_pixels_of_its_box():
    image = np.zeros((20, 31, 3), np.float32)
    drawn = draw(image, np.array([[3, 5, 12, 25, 1.0]]), 4)
    changed = drawn.any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 11, 5, 24)
    assert not changed[4:11, 6:24].any()
    np.testing.assert_allclose(drawn[3, 5], palette(4)[1], atol=1 / 255)


def test_scores_are_told_where_there_is_room():
    image, box = np.zeros((128, 140, 3), np.float32), np.array([[9, 9, 50, 60, 0.0]])
    told = draw(image, box, 2, np.array([0.75]))
    assert (told != draw(image, box, 2)).any()
