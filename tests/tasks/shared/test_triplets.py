"""What discriminators see of three frames, against DL-Art-School's numbers and a loop."""

import jax
import numpy as np
from parity import assert_close

from sr_jax.tasks.shared import triplets


def test_18_channels_are_those_of_dl_art_school(golden):
    arrays = golden('extra_teco_sextuplet')
    images = arrays['in/frames'].transpose(0, 1, 3, 4, 2)[:, 1:4]
    # There a motion is right and down, and says where a pixel comes from.
    forward, backward = (-arrays[f'in/flow{i}'].transpose(0, 2, 3, 1)[..., ::-1] for i in range(2))
    found = triplets.in_18_channels(triplets.Triplets(images, images, forward, backward), 2)
    assert_close(found, arrays['out/sextuplet'].transpose(0, 2, 3, 1))


def test_27_channels_stand_in_tecogans_order():
    random = np.random.default_rng(0)
    images, frames = random.random((2, 3, 16, 24, 3)), random.random((2, 3, 4, 6, 3))
    still = np.zeros((2, 4, 6, 2))
    shifted = still + np.array([1, 0])
    three = triplets.Triplets(*(x.astype(np.float32) for x in (images, frames, still, shifted)))
    found = np.asarray(jax.jit(triplets.in_27_channels)(three))
    for color, t in np.ndindex(3, 3):
        channel = 3 * color + t
        image = 2 * images[:, t, :, :, color] - 1
        np.testing.assert_allclose(found[..., channel], image, atol=1e-5)
        moved = image if t < 2 else np.roll(image, 4, 1)  # four large pixels down
        inside = np.s_[:, 4:14, 3:21]
        np.testing.assert_allclose(found[..., 9 + channel][inside], moved[inside], atol=1e-5)
        assert not found[:, :2, :, 9 + channel].any() and not found[:, :, 21:, 9 + channel].any()
        small = frames[:, t, :, :, color]
        np.testing.assert_allclose(found[:, ::4, ::4, 18 + channel], small, atol=1e-5)
        half = (small[:, :, :-1] + small[:, :, 1:]) / 2
        np.testing.assert_allclose(found[:, ::4, 2:-4:4, 18 + channel], half, atol=1e-5)


def test_six_triplets_of_ten_frames_forth_and_back():
    first = triplets.starts(19, 3)
    assert first == [0, 3, 6, 9, 12, 15]
    assert triplets.starts(5, 1) == [0, 1, 2]
    clip = np.arange(19.0).reshape(1, 19, 1, 1, 1)
    path = 9 - np.abs(np.ravel(clip) - 9)  # which frame is shown
    forward = np.stack([np.roll(path, 1), path], axis=-1).reshape(1, 19, 1, 1, 2)
    backward = triplets.backward_of_ping_pong(forward)
    found = triplets.cut_triplets(clip, clip, forward, backward, first)
    np.testing.assert_array_equal(np.ravel(found.images[:, 1]), [1, 4, 7, 10, 13, 16])
    shown = path[np.asarray(first)[:, None] + np.arange(3)]
    np.testing.assert_array_equal(found.forward[:, 0, 0], shown[:, [0, 1]])
    np.testing.assert_array_equal(found.backward[:, 0, 0], shown[:, [2, 1]])
