"""Films through a network that remembers: as a loop, in windows, in pieces, and over cuts."""

import jax
import numpy as np
import pytest
from planes import YUV_444, draw, make_change, upscaler
from tiny_networks import drawn

from sr_jax.errors import InputError
from sr_jax.film import color
from sr_jax.film.formats import PixelFormat
from sr_jax.inference.film import recurrent
from sr_jax.inference.film.enlarger import make_enlarger

SIZE = (19, 165)  # no multiples of 8


@pytest.fixture(scope='module')
def net():
    fields = dict(scale=2, features=3, num_blocks=1, motion_features=2)
    return drawn({'name': 'frvsr', **fields})


@pytest.fixture(scope='module')
def change():
    return make_change(YUV_444, size=SIZE, remembers=True)


@pytest.fixture(scope='module')
def planes():
    """Three frames that are alike, and a brighter one."""
    y, u, v = draw(YUV_444, 4, SIZE)
    noise = (y // 16).astype(np.uint8)
    y = np.concatenate([40 + noise[:3], 200 + noise[3:]])
    return y, u // 8 + 112, v // 8 + 112


@pytest.fixture(scope='module')
def whole(net, change):
    return make_enlarger(upscaler(net, devices=2), change)


def run(enlarger, planes, before=()):
    enlarger.begin(before)
    made = [enlarger.start(tuple(p[i : i + 1] for p in planes)) for i in range(len(planes[0]))]
    return [enlarger.finish(each) for each in made]


def test_frames_are_a_loop_that_begins_anew_at_a_cut(net, change, planes, whole):
    assert (whole.batch, whole.each) == (1, 1)
    module, step = net.module(), jax.jit(net.module().apply, static_argnames='method')
    memory = None
    for i, found in enumerate(run(whole, planes)):
        given = tuple(plane[i : i + 1] for plane in planes)
        frame = np.asarray(color.to_rgb(given, YUV_444, change.before.color))
        frame = np.pad(frame, ((0, 0), (0, 5), (0, 3), (0, 0)), mode='edge')
        memory = module.start(frame) if i in (0, 3) else memory
        memory, _ = step(net.variables, memory, frame, method='step')
        made = np.asarray(memory.image)[:, :38, :330]
        expected = color.to_planes(made, YUV_444, change.after.color)
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one.astype(int) - other).max() <= 1


def test_windows_are_exactly_the_whole(net, change, planes, whole, monkeypatch):
    sizes = iter([2, 0])
    monkeypatch.setattr(recurrent.memory, 'compiled_bytes', lambda compiled: next(sizes))
    parts = recurrent.RecurrentEnlarger(upscaler(net, memory_limit=1), change)
    assert parts.each == 0 and parts._parts.window == (24, 152)
    for one, other in zip(run(parts, planes), run(whole, planes), strict=True):
        for plane, expected in zip(one, other, strict=True):
            assert np.abs(plane.astype(int) - expected).max() <= 1
    np.testing.assert_allclose(parts._memory.image, whole._memory.image, atol=1e-5)


def test_a_piece_remembers_the_frames_before_it(planes, whole):
    everything = run(whole, planes)
    before = [tuple(plane[i] for plane in planes) for i in range(2)]
    rest = run(whole, tuple(plane[2:] for plane in planes), before)
    forgotten = run(whole, tuple(plane[2:] for plane in planes))
    for one, two in zip(rest[0], everything[2], strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((a != b).any() for a, b in zip(rest[0], forgotten[0], strict=True))


def test_what_it_cannot_do_is_told(net, change):
    with pytest.raises(InputError, match='does not go with opacity'):
        recurrent.RecurrentEnlarger(
            upscaler(net), make_change(PixelFormat('rgb', 8, alpha=True), size=SIZE)
        )
    with pytest.raises(InputError, match='too little for windows of 152x24 pixels, the smallest'):
        recurrent.RecurrentEnlarger(upscaler(net, memory_limit=1), change)
