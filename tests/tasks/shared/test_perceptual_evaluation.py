"""LPIPS of images and clips, with a distance of pixels in its place."""

import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.tasks.shared.perceptual_evaluation import measure_perceptually


class Distance:
    """In the place of LPIPS."""

    name = 'lpips_alex'

    def __call__(self, image, reference):
        return float(np.abs(image - reference).mean())


def test_clips_change_from_frame_to_frame_as_the_truth_does_or_not():
    evaluation = measure_perceptually([Distance()])
    ramp = np.arange(3.0)[:, None, None, None] / 4 * np.ones((3, 4, 5, 3))
    hq, image = np.stack([ramp, ramp]), np.stack([ramp, 0 * ramp])
    rows, totals = evaluation.measure({'hq': hq}, {'image': image})
    assert rows[0] == {'lpips_alex': 0, 't_lp_alex': 0}
    assert rows[1] == {'lpips_alex': pytest.approx(0.25), 't_lp_alex': pytest.approx(0.25)}
    assert evaluation.summarize(rows, totals)['t_lp_alex'] == pytest.approx(0.125)


def test_images_have_no_time_and_what_is_no_image_is_refused():
    evaluation = measure_perceptually([Distance()])
    hq = np.ones((2, 4, 5, 3))
    rows, _ = evaluation.measure({'hq': hq}, {'image': 0.5 * hq})
    assert rows == [{'lpips_alex': 0.5}] * 2
    for outputs in ({'logits': hq}, {'image': hq[:, :2]}):
        with pytest.raises(InputError, match='lpips_alex: there are no images made of true ones'):
            evaluation.measure({'hq': hq}, outputs)
