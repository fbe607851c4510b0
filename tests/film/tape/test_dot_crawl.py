import numpy as np
import pytest

from sr_jax.film.tape.dot_crawl import SYSTEMS, carrier_taps, comb, frames_before

WIDTH = 140


def decode_badly(film, system):
    """Adds what a decoder leaves of chroma in luma, and makes chroma of luma's fine stripes."""
    carrier, period = SYSTEMS[system]
    number, row, column = np.meshgrid(*map(np.arange, film.shape[:3]), indexing='ij')
    # A line of 140 pixels, as if it took as long as one of 720.
    phase = 2 * np.pi * carrier * 720 / 13.5 / WIDTH % (2 * np.pi) * column
    phase = phase + np.pi * row + np.pi * number / period
    edges = np.abs(np.diff(film[..., 1:], axis=2, append=0)).sum(-1)
    dots = 0.5 * edges * np.cos(phase)
    stripes = np.diff(film[..., 0], axis=2, append=0)
    rainbows = [0.2 * stripes * wave(phase) for wave in (np.cos, np.sin)]
    return np.float32(film + np.stack([dots, *rainbows], axis=-1))


def mend(film, system):
    first = np.repeat(film[:1], frames_before(system), axis=0)
    return np.asarray(comb(film, first, system))


@pytest.mark.parametrize('system', SYSTEMS)
def test_dots_and_rainbows_go(scene, film, distance, system):
    still = np.repeat(scene[None], 7, axis=0)
    tape = decode_badly(still, system)
    late = slice(frames_before(system), None)
    mended = mend(tape, system)
    assert distance(mended[late], still[late]) > distance(tape[late], still[late]) + 6
    assert distance(mend(film, system), film) > 50


def test_the_systems_carriers():
    """ITU-R BT.1700: periods of the carrier in a frame."""
    lines = {'ntsc': 525 * 15.750 / 1.001 * 1e3 / 525, 'pal': 15625}
    for system, (carrier, frames) in SYSTEMS.items():
        count = {'ntsc': 525, 'pal': 625}[system]
        periods = carrier * 1e6 / lines[system] * count * frames
        assert periods % 1 == pytest.approx(0.5, abs=1e-3)


def test_the_filter_keeps_the_carrier_and_nothing_constant():
    taps = carrier_taps(0.27)
    place, weight = np.array(list(taps)), np.array(list(taps.values()))
    assert weight.sum() == pytest.approx(0, abs=1e-9)
    assert (weight * np.cos(2 * np.pi * 0.27 * place)).sum() == pytest.approx(1)
