"""Clips that are compressed on the host, in the middle of a jitted step."""

import functools

import jax
import numpy as np
import pytest

from sr_jax import degradations
from sr_jax.degradations import tape
from sr_jax.degradations.settings import TapeSettings
from sr_jax.errors import InputError
from sr_jax.tasks.shared import clips, compression

SETTINGS = TapeSettings(codec='h264', strength=(5, 40))


def test_a_step_has_it_done_on_the_host_as_strongly_as_each_clip_draws():
    pytest.importorskip('av')
    from sr_jax.film.compression import compress_clip

    texture = np.random.default_rng(0).random((2, 3, 9, 12, 3), np.float32)
    given = texture.repeat(4, 2).repeat(4, 3)
    compress = jax.jit(functools.partial(compression.compress, settings=SETTINGS))
    for seed in (0, 1):
        keys = jax.random.split(jax.random.key(seed), 2)
        found = np.asarray(compress(given, keys=keys))
        for one, before, key in zip(found, given, keys, strict=True):
            u = float(jax.random.uniform(jax.random.fold_in(key, 6)))
            expected = compress_clip(before, 'h264', 5 + int(36 * u))
            np.testing.assert_array_equal(one, expected)


def test_only_clips_and_only_where_it_is_asked_for(monkeypatch):
    hq = np.zeros((2, 1, 4, 6, 3), np.float32)
    monkeypatch.setattr(tape, 'degrade', lambda hq, scale, settings, keys: hq)
    monkeypatch.setattr(clips.compression, 'compress', lambda small, settings, keys: keys)
    keys = clips.degrade_clips(hq, 2, SETTINGS, jax.random.key(3))
    assert (keys == jax.random.split(jax.random.key(3), 2)).all()
    assert clips.degrade_clips(hq, 2, TapeSettings()) is hq
    with pytest.raises(InputError, match="codec='h264' is for clips: take ''"):
        degradations.degrade(hq[:, 0], 2, SETTINGS, jax.random.key(0))


def test_what_cannot_be_meant(monkeypatch):
    with pytest.raises(ValueError, match="codec='av1': it is '' or mpeg2video or h264"):
        TapeSettings(codec='av1')
    with pytest.raises(ValueError, match=r'strength=\(4, 40\) goes beyond 31'):
        TapeSettings(codec='mpeg2video', strength=(4, 40))
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    with pytest.raises(InputError, match='one process encodes for all devices'):
        compression.compress(np.zeros((1, 2, 4, 6, 3)), SETTINGS, None)
