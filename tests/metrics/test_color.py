import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sr_jax.metrics.color import rgb_to_ycbcr, ycbcr_to_rgb


def test_it_agrees_with_basicsr(golden):
    arrays = golden('metric_ycbcr')
    floats, eight = arrays['in/float'], arrays['in/uint8']
    ours = rgb_to_ycbcr(floats)
    np.testing.assert_allclose(ours, arrays['out/rgb2ycbcr_float'], atol=1e-6)
    np.testing.assert_allclose(ours[..., 0], arrays['out/rgb2ycbcr_float_yonly'], atol=1e-6)
    bgr = rgb_to_ycbcr(floats[..., ::-1])
    np.testing.assert_allclose(bgr, arrays['out/bgr2ycbcr_float'], atol=1e-6)
    np.testing.assert_allclose(bgr[..., 0], arrays['out/bgr2ycbcr_float_yonly'], atol=1e-6)
    rounded = np.rint(255 * rgb_to_ycbcr(eight / 255))
    np.testing.assert_array_equal(rounded, arrays['out/rgb2ycbcr_uint8'])
    np.testing.assert_array_equal(rounded[..., 0], arrays['out/rgb2ycbcr_uint8_yonly'])


def test_the_way_back_agrees_with_basicsr(golden):
    arrays = golden('metric_ycbcr')
    back = ycbcr_to_rgb(arrays['out/rgb2ycbcr_float'])
    np.testing.assert_allclose(back, arrays['out/ycbcr2rgb_float'], atol=1e-5)  # its digits


@given(image=hnp.arrays(np.float64, (3, 2, 3), elements=st.floats(0, 1)))
def test_there_and_back_is_nothing(image):
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(image)), image, atol=1e-12)


def test_gray_has_no_color_and_studio_range():
    gray = np.array([[0.0] * 3, [1.0] * 3])
    np.testing.assert_allclose(255 * rgb_to_ycbcr(gray), [[16, 128, 128], [235, 128, 128]])
