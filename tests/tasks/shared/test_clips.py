"""Clips through a recurrent network, and how they are made small."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.degradations.settings import GaussianSettings, SecondOrderSettings
from sr_jax.errors import InputError
from sr_jax.tasks.shared import clips


class Memory(NamedTuple):
    """What a frame leaves."""

    image: Any


class Loop:
    """A recurrent network of one number, with as many steps in between as are wanted."""

    def __init__(self, remat, steps=0):
        self.remat, self.steps = remat, steps

    def start(self, frame):
        return Memory(jnp.zeros(frame.shape))

    def apply(self, weight, memory, frame, train, method):
        assert (train, method) == (True, 'step')
        image = weight * memory.image + frame
        for _ in range(self.steps):
            image = jnp.tanh(jnp.cos(image) * image)
        return Memory(image), frame[..., :2]


@pytest.mark.parametrize('remat', [False, True])
def test_a_clip_is_a_loop(remat):
    clip = np.random.default_rng(0).random((2, 5, 3, 4, 3), np.float32)
    network = Loop(remat)
    images, motions = clips.enlarge_clip(network, jnp.float32(0.5), clip, True)
    expected, image = [], np.zeros((2, 3, 4, 3))
    for i in range(5):
        image = 0.5 * image + clip[:, i]
        expected.append(image)
    np.testing.assert_allclose(images, np.stack(expected, 1), rtol=1e-5)
    np.testing.assert_array_equal(motions, clip[..., :2])


def test_what_is_computed_again_takes_no_memory_and_has_the_same_gradients():
    clip = np.random.default_rng(1).random((1, 19, 32, 32, 3), np.float32)

    def compiled(remat, frames):
        def loss(weight, clip):
            return clips.enlarge_clip(Loop(remat, 12), weight, clip, True)[0].sum()

        shape = jax.ShapeDtypeStruct((1, frames, 32, 32, 3), jnp.float32)
        return jax.jit(jax.grad(loss)).lower(jnp.float32(0.5), shape).compile()

    kept, anew, one = compiled(False, 19), compiled(True, 19), compiled(True, 1)
    np.testing.assert_allclose(kept(0.5, clip), anew(0.5, clip), rtol=1e-4)
    sizes = [f.memory_analysis().temp_size_in_bytes for f in (kept, anew, one)]
    states = 3 * clip.nbytes  # images, their gradients, and the frames in the loop's order
    assert sizes[1] < 1.3 * sizes[2] + states < sizes[0]


def test_gaussian_is_a_sum_over_neighbors_of_every_fourth_pixel():
    hq = np.random.default_rng(2).random((1, 2, 17, 22, 3)).astype(np.float32)
    small = clips.degrade_clips(hq, 4, GaussianSettings())
    assert small.shape == (1, 2, 5, 6, 3)
    offsets = np.arange(-4, 5)
    taps = np.exp(-(offsets**2) / 4.5)
    window = hq[0, 1, 8 + offsets][:, 12 + offsets]
    expected = np.einsum('y,x,yxc->c', taps, taps, window) / taps.sum() ** 2
    np.testing.assert_allclose(small[0, 1, 2, 3], expected, rtol=1e-5)


def test_what_is_not_for_clips():
    with pytest.raises(InputError, match="'second_order' is for single images, not for clips"):
        clips.check_degradation(SecondOrderSettings())
    with pytest.raises(InputError, match="'photos' holds single images.*'moving:photos'"):
        clips.check_source('photos')
    clips.check_source('moving:photos')
