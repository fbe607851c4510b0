import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.film.color import MATRICES, to_alpha, to_planes, to_rgb
from sr_jax.film.formats import ColorDescription, PixelFormat, plane_sizes

YUV444 = PixelFormat('yuv', 8)
YUV420 = PixelFormat('yuv', 8, 2, 2)

# White, yellow, cyan, green, magenta, red, blue, black as (Y, Cb, Cr), as television's test signals
# have them: 75% in BT.601 and BT.709, 100% in BT.709.
BARS = {
    ('smpte170m', 0.75): [
        *((180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58)),
        *((84, 184, 198), (65, 100, 212), (35, 212, 114), (16, 128, 128)),
    ],
    ('bt709', 0.75): [
        *((180, 128, 128), (168, 44, 136), (145, 147, 44), (133, 63, 52)),
        *((63, 193, 204), (51, 109, 212), (28, 212, 120), (16, 128, 128)),
    ],
    ('bt709', 1.0): [
        *((235, 128, 128), (219, 16, 138), (188, 154, 16), (173, 42, 26)),
        *((78, 214, 230), (63, 102, 240), (32, 240, 118), (16, 128, 128)),
    ],
}
COLORS = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)]


def limited(matrix='bt601', chroma='left'):
    return ColorDescription(matrix, 'limited', chroma=chroma)


def exact(planes, depth, red, blue, full):
    """RGB by the equations of BT.601 and its kin, written out, in float64."""
    y, cb, cr = (np.float64(plane) for plane in planes)
    step, most = 2 ** (depth - 8), 2**depth - 1
    y = y / most if full else (y / step - 16) / 219
    cb, cr = (
        ((c - 2 ** (depth - 1)) / most if full else (c / step - 128) / 224) for c in (cb, cr)
    )
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


@pytest.mark.parametrize(('matrix', 'share'), BARS)
def test_color_bars_are_the_published_code_values(matrix, share):
    bars = np.float32(COLORS).reshape(1, 1, 8, 3) * share
    planes = to_planes(bars, YUV444, limited(matrix))
    found = np.stack(planes, axis=-1).reshape(8, 3)
    np.testing.assert_array_equal(found, BARS[matrix, share])


@pytest.mark.parametrize(
    ('matrix', 'depth', 'red', 'blue', 'full'),
    [
        ('bt601', 8, 0.299, 0.114, False),
        ('bt709', 10, 0.2126, 0.0722, False),
        ('bt2020nc', 12, 0.2627, 0.0593, False),
        ('smpte240m', 9, 0.212, 0.087, False),
        ('fcc', 8, 0.3, 0.11, True),
        ('bt470bg', 16, 0.299, 0.114, True),
    ],
)
def test_rgb_is_exact_and_comes_back(matrix, depth, red, blue, full):
    rng = np.random.default_rng(depth)
    kind = np.uint8 if depth == 8 else np.uint16
    planes = [rng.integers(0, 2**depth, (2, 33, 47)).astype(kind) for _ in range(3)]
    format = PixelFormat('yuv', depth)
    color = ColorDescription(matrix, 'full' if full else 'limited')
    rgb = to_rgb(planes, format, color)
    np.testing.assert_allclose(rgb, exact(planes, depth, red, blue, full), atol=1e-6)
    for found, plane in zip(to_planes(rgb, format, color), planes, strict=True):
        np.testing.assert_array_equal(found, plane)


def test_all_of_8_bits_comes_back():
    levels = np.unique(np.append(np.arange(0, 256, 3), [16, 128, 235, 240])).astype(np.uint8)
    planes = np.stack(np.meshgrid(levels, levels, levels)).reshape(3, 1, len(levels), -1)
    color = limited('bt709')
    found = to_planes(to_rgb(tuple(planes), YUV444, color), YUV444, color)
    np.testing.assert_array_equal(np.stack(found), planes)


@st.composite
def formats(draw):
    layout = draw(st.sampled_from(['yuv', 'yuv', 'gray', 'rgb']))
    horizontal, vertical = draw(st.sampled_from([(2, 2), (2, 1), (4, 1), (1, 2), (1, 1), (4, 4)]))
    if layout != 'yuv':
        horizontal = vertical = 1
    return PixelFormat(layout, draw(st.integers(8, 16)), horizontal, vertical, draw(st.booleans()))


@settings(max_examples=12)
@given(
    formats(),
    st.sampled_from(sorted(MATRICES)),
    st.sampled_from(['limited', 'full']),
    st.sampled_from(['left', 'center', 'topleft', 'top', 'bottomleft', 'bottom']),
    st.tuples(st.integers(1, 7), st.integers(1, 9)),
    st.integers(0, 2**31),
)
def test_constant_colors_come_back_enlarged(format, matrix, range_, place, size, seed):
    color = ColorDescription(matrix, range_, chroma=place)
    rng = np.random.default_rng(seed)
    kind = np.uint8 if format.depth == 8 else np.uint16
    values = rng.integers(0, 2**format.depth, 5)
    sizes = plane_sizes(format, *size)
    planes = tuple(np.full((1, *s), v, kind) for s, v in zip(sizes, values, strict=False))
    rgb = np.asarray(to_rgb(planes, format, color)).repeat(3, axis=1).repeat(2, axis=2)
    alpha = to_alpha(planes, format).repeat(3, axis=1).repeat(2, axis=2) if format.alpha else None
    found = to_planes(rgb, format, color, alpha=alpha)
    assert [p.shape[1:] for p in found] == plane_sizes(format, 3 * size[0], 2 * size[1])
    for plane, value in zip(found, values, strict=False):
        np.testing.assert_array_equal(plane, value)
        assert plane.dtype == kind


def test_an_interlaced_frame_keeps_its_fields_apart():
    y = np.full((1, 11, 5), 90, np.uint8)
    u = np.full((1, 6, 3), 60, np.uint8)
    u[:, 1::2] = 200
    v = np.full_like(u, 128)
    color = limited()
    rgb = np.asarray(to_rgb((y, u, v), YUV420, color, interlaced=True))
    blue = [exact((90, value, 128), 8, 0.299, 0.114, False)[2] for value in (60, 200)]
    np.testing.assert_allclose(rgb[0, 0::2, :, 2], blue[0], atol=1e-6)
    np.testing.assert_allclose(rgb[0, 1::2, :, 2], blue[1], atol=1e-6)
    found = to_planes(rgb, YUV420, color, interlaced=True)
    for plane, before in zip(found, (y, u, v), strict=True):
        np.testing.assert_array_equal(plane, before)


@pytest.mark.parametrize(
    ('matrix', 'levels'),
    [
        ('identity', (16 + 219 * 0.7, 16 + 219 * 0.4, 16 + 219 * 0.2)),
        ('ycgco', (16 + 219 * 0.5, 128 + 224 * 0.2, 128 - 224 * 0.1)),
    ],
)
def test_matrices_of_other_kinds(matrix, levels):
    """H.273, 8.3: G, B, R as luma is; Y, Cg, Co."""
    rgb = np.float32([0.2, 0.7, 0.4]).reshape(1, 1, 1, 3)
    planes = to_planes(rgb, YUV444, limited(matrix))
    assert [plane.item() for plane in planes] == [round(level) for level in levels]


def test_gray_takes_luma_of_the_matrix():
    rgb = np.float32([0.2, 0.7, 0.4]).reshape(1, 1, 1, 3)
    (plane,) = to_planes(rgb, PixelFormat('gray', 10), ColorDescription('bt709', 'full'))
    assert plane.item() == round(1023 * (0.2126 * 0.2 + 0.7152 * 0.7 + 0.0722 * 0.4))


def test_it_can_be_part_of_a_jitted_function():
    color = limited()
    shapes = [jax.ShapeDtypeStruct((3, *s), jnp.uint8) for s in plane_sizes(YUV420, 5, 7)]
    made = jax.eval_shape(lambda planes: to_rgb(planes, YUV420, color), shapes)
    assert made.shape == (3, 5, 7, 3)


@pytest.mark.parametrize(
    ('changed', 'words'),
    [
        ({'matrix': 'ictcp'}, "matrix 'ictcp'"),
        ({'range': 'unspecified'}, "range 'unspecified'"),
        ({'chroma': 'middle'}, "position 'middle'"),
    ],
)
def test_what_is_not_known_is_named(changed, words):
    shapes = [np.zeros((1, *s), np.uint8) for s in plane_sizes(YUV420, 3, 4)]
    with pytest.raises(InputError, match=words):
        to_rgb(shapes, YUV420, limited()._replace(**changed))


def test_planes_that_do_not_fit_and_unknown_dithers_are_named():
    with pytest.raises(InputError, match='sizes'):
        to_rgb([np.zeros((1, 4, 6), np.uint8)] * 3, YUV420, limited())
    with pytest.raises(InputError, match='error_diffusion'):
        to_planes(np.zeros((1, 4, 6, 3), np.float32), YUV420, limited(), dither='blue')
