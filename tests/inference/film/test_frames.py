"""Planes through networks: exact where pixels are repeated, alike whole and in parts."""

import jax
import numpy as np
import pytest
from planes import SCALE, SIZE, YUV_420, YUV_444, draw, make_change, upscaler
from tiny_networks import network, repeating

from sr_jax.errors import InputError
from sr_jax.film.formats import PixelFormat, plane_sizes
from sr_jax.film.tape.chain import Findings, TapeSettings
from sr_jax.inference.film import frames
from sr_jax.inference.film.frames import FrameEnlarger, Tape


def constant(pixels, count, levels):
    sizes = plane_sizes(pixels, *SIZE)
    kind = np.uint8 if pixels.depth == 8 else np.uint16
    return tuple(np.full((count, *s), v, kind) for s, v in zip(sizes, levels, strict=True))


def repeat(plane):
    return plane.repeat(SCALE, axis=1).repeat(SCALE, axis=2)


@pytest.fixture(scope='module')
def repeater():
    return upscaler(repeating())


@pytest.mark.parametrize('pixels', [YUV_444, PixelFormat('yuv', 10), PixelFormat('rgb', 12)])
def test_planes_come_back_repeated_whatever_they_hold(pixels, repeater):
    enlarger = FrameEnlarger(repeater, make_change(pixels))
    assert enlarger.each == enlarger.batch == frames.MAX_BATCH
    planes = draw(pixels, enlarger.batch)
    for before, after in zip(planes, enlarger.finish(enlarger.start(planes)), strict=True):
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, repeat(before))


@pytest.mark.parametrize('devices', [1, 3])
def test_constant_colors_stay_whatever_the_chroma_and_the_devices(devices):
    change = make_change(YUV_420, compare=True, dither='error_diffusion')
    enlarger = FrameEnlarger(upscaler(repeating(), devices), change)
    assert enlarger.batch == devices * frames.MAX_BATCH
    levels = (235, 40, 212)
    made = enlarger.finish(enlarger.start(constant(YUV_420, enlarger.batch, levels)))
    assert made[0].shape[1:] == (2 * 14, 2 * 2 * 18)
    for plane, level in zip(made, levels, strict=True):
        assert (plane == level).all()


def test_in_parts_it_is_as_in_one_piece(monkeypatch):
    net = network('srvgg')
    whole = FrameEnlarger(upscaler(net), make_change(YUV_444))
    planes = draw(YUV_444, whole.batch)
    expected = whole.finish(whole.start(planes))
    tiled = upscaler(net, tile=11, halo=3)
    monkeypatch.setattr(tiled, 'is_plain', False)
    parts = FrameEnlarger(tiled, make_change(YUV_444))
    assert (parts.each, parts.batch) == (0, 1)
    made = parts.finish(parts.start(tuple(plane[:1] for plane in planes)))
    for one, other in zip(made, expected, strict=True):
        assert np.abs(one[0].astype(int) - other[0]).max() <= 1


def test_opacity_is_enlarged_and_gray_stays_gray(repeater):
    pixels = PixelFormat('gray', 8, alpha=True)
    enlarger = FrameEnlarger(repeater, make_change(pixels))
    planes = draw(pixels, 1)
    planes[1][planes[1] == 0] = 1  # what is hidden gets other colors
    for before, after in zip(planes, enlarger.finish(enlarger.start(planes)), strict=True):
        np.testing.assert_array_equal(after, repeat(before))


def test_gray_is_gray_whatever_the_network_makes_of_it():
    change = make_change(PixelFormat('gray', 10), after=PixelFormat('rgb', 16))
    enlarger = FrameEnlarger(upscaler(network('srvgg')), change)
    red, green, blue = enlarger.finish(enlarger.start(draw(PixelFormat('gray', 10), 16)))
    assert red.dtype == np.uint16 and red.std() > 1000
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)


def test_a_tape_is_cleaned_before_and_learns_from_the_frames_before(repeater):
    tape = Tape(TapeSettings(denoise=1.0, crop_lines=True), Findings(lines=2, noise=(0.02, 0.02)))
    change = make_change(YUV_444, tape=tape)
    change = change._replace(after=change.after._replace(height=2 * 12))
    enlarger = FrameEnlarger(repeater, change)
    noisy = constant(YUV_444, enlarger.batch, (90, 128, 128))
    rng = np.random.default_rng(0)
    noisy = (rng.normal(noisy[0], 4).round().astype(np.uint8), *noisy[1:])
    before = [tuple(plane[i] for plane in noisy) for i in range(enlarger.batch)]
    enlarger.begin([])
    cold = enlarger.finish(enlarger.start(noisy))[0]
    enlarger.begin(before)
    warm = enlarger.finish(enlarger.start(noisy))[0]
    assert cold.shape[1:] == (24, 36)
    assert cold[0].std() > 3 > 2 > warm[0].std()
    enlarger.begin(before)
    np.testing.assert_array_equal(enlarger.finish(enlarger.start(noisy))[0], warm)


def test_what_is_not_finite_is_an_error():
    net = repeating()
    params = dict(net.variables['params'])
    params['conv_last'] = jax.tree.map(lambda x: np.full_like(x, np.nan), params['conv_last'])
    enlarger = FrameEnlarger(
        upscaler(net._replace(variables={'params': params})), make_change(YUV_444)
    )
    with pytest.raises(InputError, match='repeating makes of a frame has values .* not finite'):
        enlarger.finish(enlarger.start(draw(YUV_444, enlarger.batch)))


@pytest.mark.parametrize(('limit', 'batch'), [(1000, 16), (800, 8), (70, 1), (60, 1)])
def test_the_batch_is_what_fits_into_the_memory(limit, batch, repeater, monkeypatch):
    monkeypatch.setattr(FrameEnlarger, '_compile', lambda self: self.batch)
    monkeypatch.setattr(frames.memory, 'compiled_bytes', lambda batch: 8 + 55 * batch)
    monkeypatch.setattr(repeater, 'limit', limit)
    prepared = []
    monkeypatch.setattr(repeater, 'prepare', prepared.extend)
    enlarger = FrameEnlarger(repeater, make_change(YUV_444))
    assert enlarger.batch == batch
    assert (enlarger.each, prepared) == (batch * (limit > 60), [SIZE] * (limit <= 60))
    assert FrameEnlarger(repeater, make_change(YUV_444), 1 if limit > 60 else 0).batch == 1
    with pytest.raises(InputError, match='.* frames at a time, as before, take .* raise that'):
        FrameEnlarger(repeater, make_change(YUV_444), limit)


def test_a_cpu_takes_large_frames_one_by_one(repeater, monkeypatch):
    monkeypatch.setattr(FrameEnlarger, '_compile', lambda self: self.batch)
    monkeypatch.setattr(frames.memory, 'compiled_bytes', lambda batch: 1)
    change = make_change(YUV_444, size=(230, 220))
    assert FrameEnlarger(repeater, change).batch == 1
    monkeypatch.setattr(frames, 'ENOUGH_PIXELS', {})
    assert FrameEnlarger(repeater, change).batch == 10
