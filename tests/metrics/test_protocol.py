import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.metrics.protocol import parse, parse_all


@pytest.mark.parametrize('pair', [0, 1, 2])
@pytest.mark.parametrize('crop', [0, 4])
@pytest.mark.parametrize('luma', [False, True])
def test_it_agrees_with_basicsr(golden, pair, crop, luma):
    arrays = golden('metric_psnr_ssim')
    a, b = arrays[f'pair{pair}/in/a'], arrays[f'pair{pair}/in/b']
    if luma:  # the channels are blue, green, red there
        a, b = a[..., ::-1], b[..., ::-1]
    a, b = a / np.float32(255), b / np.float32(255)
    protocol = parse(f'{"y_matlab" if luma else "rgb"}_crop{crop}')
    tail = f'crop{crop}_y{int(luma)}'
    np.testing.assert_allclose(
        protocol.psnr(a, b), arrays[f'pair{pair}/out/psnr_{tail}'], rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(
        protocol.ssim(a, b), arrays[f'pair{pair}/out/ssim_{tail}'], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize('pair', [0, 1])
def test_the_eight_bit_protocol_is_close_to_basicsrs_float_form(golden, pair):
    arrays = golden('metric_psnr_ssim')
    a, b = (arrays[f'pair{pair}/in/{name}'] / np.float32(255) for name in 'ab')
    expected = arrays[f'pair{pair}/out/psnr_pt_crop4_y1']
    assert parse('y_matlab_crop4').psnr(a, b) == pytest.approx(float(expected), abs=1e-3)


def test_images_are_rounded_to_eight_bits_first():
    image = np.full((12, 12, 3), 100 / 255, np.float32)
    protocol = parse('rgb_crop0')
    assert protocol.psnr(image + 0.4 / 255, image) == float('inf')
    assert protocol.psnr(image + 0.6 / 255, image) == pytest.approx(20 * np.log10(255))
    assert protocol.psnr(image + 2, image) == protocol.psnr(np.ones_like(image), image)


def test_the_border_is_not_measured():
    image = np.random.default_rng(0).random((20, 22, 3), np.float32)
    framed = image.copy()
    framed[:4], framed[-4:], framed[:, :4], framed[:, -4:] = 0, 0, 0, 0
    assert parse('rgb_crop4').psnr(framed, image) == float('inf')
    assert parse('rgb_crop3').psnr(framed, image) < 40


def test_an_image_that_is_cropped_away_is_an_error():
    image = np.zeros((8, 20, 3), np.float32)
    with pytest.raises(InputError, match=r"nothing is left of 20x8 pixels.*'rgb_crop4'"):
        parse('rgb_crop4').psnr(image, image)


@pytest.mark.parametrize(
    ('name', 'luma', 'crop'),
    [('rgb_crop0', False, 0), ('y_matlab_crop12', True, 12), ('rgb_crop4', False, 4)],
)
def test_names_are_understood(name, luma, crop):
    protocol = parse(name)
    assert (protocol.name, protocol.luma, protocol.crop) == (name, luma, crop)


@pytest.mark.parametrize(
    ('name', 'nearest'),
    [
        ('rgb', 'rgb_crop'),
        ('rbg_crop4', 'rgb_crop4'),
        ('y_crop4', 'y_matlab_crop4'),
        ('y_matlab_crop-4', 'y_matlab_crop4'),
        ('RGB_crop2', 'rgb_crop2'),
        ('rgb_crop04', 'rgb_crop'),
    ],
)
def test_an_unknown_name_is_told_the_nearest(name, nearest):
    with pytest.raises(InputError, match=f"no such protocol: '{name}'; did you mean '{nearest}"):
        parse(name)


def test_a_name_like_no_other_is_told_them_all():
    with pytest.raises(InputError, match=r"'zzzz'; There are 'rgb_crop<pixels>'"):
        parse('zzzz')


def test_several_are_named_with_commas():
    found = parse_all('y_matlab_crop4, rgb_crop0,y_matlab_crop4')
    assert [protocol.name for protocol in found] == ['y_matlab_crop4', 'rgb_crop0']
    for names in ('rgb_crop0,', 'rgb_crop0 rgb_crop4'):
        with pytest.raises(InputError, match='no such protocol'):
            parse_all(names)
