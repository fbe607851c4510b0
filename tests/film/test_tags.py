import pytest

from sr_jax.errors import InputError
from sr_jax.film.formats import ColorDescription, PixelFormat, plane_sizes
from sr_jax.film.tags import choose_output, describe, resolve

YUV420, RGB = PixelFormat('yuv', 8, 2, 2), PixelFormat('rgb', 8)
UNSAID = ColorDescription()


@pytest.mark.parametrize(
    ('height', 'matrix', 'primaries'),
    [
        (480, 'smpte170m', 'smpte170m'),
        (576, 'bt470bg', 'bt470bg'),
        (360, 'smpte170m', 'bt709'),
        (577, 'bt709', 'bt709'),
    ],
)
def test_what_is_not_said_is_as_players_take_it(height, matrix, primaries):
    found = resolve(UNSAID, YUV420, height)
    assert found == ColorDescription(matrix, 'limited', primaries, 'bt709', 'left')


def test_what_is_said_stays():
    said = ColorDescription('bt2020nc', 'full', 'bt2020', 'smpte2084', 'topleft')
    assert resolve(said, YUV420, 480) == said
    assert resolve(UNSAID._replace(range='full'), YUV420, 480).chroma == 'center'
    assert resolve(said, PixelFormat('yuv', 8), 480).chroma == 'unspecified'


def test_other_layouts():
    assert resolve(UNSAID, RGB, 300)[:2] == ('identity', 'full')
    assert resolve(UNSAID, PixelFormat('gray', 8), 700)[:2] == ('bt709', 'full')


def test_the_matrix_follows_a_film_that_crosses_to_hd():
    taken = resolve(UNSAID, YUV420, 576)
    assert choose_output(taken, YUV420, (576, 2304)) == taken._replace(matrix='bt709')
    assert choose_output(taken, YUV420, (576, 2304), 'keep') == taken
    assert choose_output(taken, YUV420, (240, 480)) == taken
    wide = taken._replace(matrix='bt2020nc')
    assert choose_output(wide, YUV420, (576, 2304)) == wide
    with pytest.raises(InputError, match='auto or keep'):
        choose_output(taken, YUV420, (576, 2304), 'copy')


def test_rgb_that_becomes_yuv_and_back():
    taken = resolve(UNSAID, RGB, 200)
    made = choose_output(taken, YUV420, (200, 800), 'keep')
    assert made == ('bt709', 'limited', 'bt709', 'iec61966-2-1', 'left')
    assert choose_output(made, RGB, (200, 400))[:2] == ('identity', 'full')


def test_it_says_so_in_words():
    taken = resolve(UNSAID, YUV420, 480)
    first, second = describe(UNSAID, taken, choose_output(taken, YUV420, (480, 960)), 480)
    assert first.startswith('colors: BT.601, limited range, chroma at the left (matrix, range')
    assert first.endswith('by its 480 lines)')
    assert second == (
        'written as: BT.709, limited range, chroma at the left (--matrix keep keeps the matrix)'
    )
    said = ColorDescription('bt2020nc', 'limited', 'bt2020', 'arib-std-b67', 'topleft')
    assert describe(said, said, said, 2160) == [
        'colors: BT.2020, limited range, chroma at the top left',
        'HDR: HLG',
    ]


def test_sizes_of_planes_are_rounded_up():
    format = PixelFormat('yuv', 8, 4, 2, alpha=True)
    assert plane_sizes(format, 5, 9) == [(5, 9), (3, 3), (3, 3), (5, 9)]
    assert plane_sizes(PixelFormat('rgb', 8), 5, 9) == [(5, 9)] * 3
