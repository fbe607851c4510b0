import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.film.color import from_luma_chroma
from sr_jax.film.tape import head_switching
from sr_jax.film.tape.chain import Findings, TapeSettings, clean, describe, examine, start

ALL = TapeSettings(True, True, 'ntsc', 1.5, True)
FOUND = Findings(6, (0.0, 2.25), (0.02, 0.011), (0.05, 0.93))


@pytest.fixture(scope='module')
def rgb(film):
    return np.asarray(from_luma_chroma(film, 'bt601'))


def apply(rgb, sizes, settings=ALL, findings=FOUND):
    """The film by the chain in parts of these sizes."""
    state, made = start(rgb[0], settings, findings), []
    for frames in np.split(rgb, np.cumsum(sizes)[:-1]):
        frames, state = clean(frames, settings, findings, state)
        made.append(np.asarray(frames))
    return np.concatenate(made)


def test_parts_are_the_whole(rgb):
    whole = apply(rgb, [9])
    assert whole.shape == (9, 90, 140, 3)
    np.testing.assert_allclose(apply(rgb, [4, 1, 4]), whole, atol=1e-6)


def test_nothing_is_done_by_default(rgb):
    settings = TapeSettings()
    findings = examine([rgb], settings)
    assert findings == Findings()
    assert describe(settings, findings) == []
    np.testing.assert_allclose(apply(rgb, [9], settings, findings), rgb, atol=1e-6)


def test_a_clean_film_is_nearly_left(rgb, distance):
    settings = TapeSettings(True, True, 'pal', 1.0)
    findings = examine([rgb, rgb[::-1], rgb[:, :, ::-1]], settings)
    assert findings == Findings()
    assert distance(apply(rgb, [9], settings, findings), rgb) > 45
    assert describe(settings, findings) == [
        'lines after the switch of heads: none found',
        'chroma: lies where luma does, or tells not',
        'dots and rainbows: PAL comb, where nothing moves',
        'noise: none found',
    ]


def test_the_switch_of_heads_is_looked_for_in_fields(rgb, monkeypatch):
    monkeypatch.setattr(head_switching, 'count_lines', lambda frames: len(frames))
    settings = TapeSettings(crop_lines=True)
    assert examine([rgb], settings).lines == 9
    assert examine([rgb], settings, [rgb[:4], rgb[:6], rgb[:6]]).lines == 6


def test_a_film_of_one_frame(rgb):
    assert examine([rgb[:1]], ALL)[:3] == Findings()[:3]
    assert apply(rgb[:1], [1]).shape == (1, 90, 140, 3)


def test_it_says_what_was_found():
    assert describe(ALL, FOUND) == [
        'lines after the switch of heads: 6 at the bottom are cropped',
        'chroma: +0.0 lines down, +2.2 pixels right of luma: moved back',
        'dots and rainbows: NTSC comb, where nothing moves',
        'noise: luma 5.1, chroma 2.8 of 255; averaged where nothing moves',
        'levels: black at 0.050, white at 0.930: 1.136 (x - 0.050)',
    ]


def test_what_cannot_be_is_named():
    with pytest.raises(InputError, match='ntsc or pal'):
        TapeSettings(comb='secam')
    with pytest.raises(InputError, match='denoise'):
        TapeSettings(denoise=-1)
    with pytest.raises(InputError, match='no frames'):
        examine([], ALL)
