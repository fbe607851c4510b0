"""How clips move, against how they should: motion, flicker and what is not the same when moved.

Motion is measured by scikit-image's iterative Lucas and Kanade, Le Besnerais and Champagnat 2005,
of luma. (The authors of these metrics took Farneback's, and networks: numbers of theirs are not to
be compared with these.) Clips are [t, h, w, 3] in [0, 1], of two frames or more.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from sr_jax.metrics.shapes import check_images

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
RADIUS = 5  # pixels of the window that motion is found by
WARPS = 4  # rounds of it
PROTOCOL = f'ilk_radius{RADIUS}_warps{WARPS}'  # what numbers that rest on motion were measured by
SEEN = 0.02  # a true pixel that differs by more from where it came from was hidden before
FLAT = 4 / 255  # the largest difference to a neighbor in a flat area
STILL = 2 / 255  # and to the frame before


def find_motion(
    earlier: Float[np.ndarray, 'h w 3'], later: Float[np.ndarray, 'h w 3']
) -> Float[np.ndarray, '2 h w']:
    """Returns, for each pixel of the later image, where it was in the earlier one: down and right,
    in pixels from there."""
    from skimage.registration import optical_flow_ilk  # a slow import

    pair = (later @ LUMA, earlier @ LUMA)
    found: np.ndarray = optical_flow_ilk(*pair, radius=RADIUS, num_warp=WARPS)
    return found


def motion_error(
    images: Float[np.ndarray, 't h w 3'], truth: Float[np.ndarray, 't h w 3']
) -> float:
    """Returns tOF, how far the motions of two clips are apart, in pixels a frame.

    The mean of the absolute differences, down plus right: Chu et al. 2020 (arXiv:1811.09393),
    section 4.3.

    Raises InputError where one is no clip of RGB frames.
    """
    check_images(images, truth)
    pairs = zip(_motions(images), _motions(truth), strict=True)
    return float(np.mean([np.abs(one - other).sum(0).mean() for one, other in pairs]))


def _motions(clip: Float[np.ndarray, 't h w 3']) -> list[Float[np.ndarray, '2 h w']]:
    return [find_motion(*pair) for pair in itertools.pairwise(clip)]


def warping_error(
    images: Float[np.ndarray, 't h w 3'], truth: Float[np.ndarray, 't h w 3']
) -> float:
    """Returns the mean squared difference between frames and the frames before, moved to them.

    They are moved as the truth moves, and compared where it shows the same; 0 where nothing is seen
    twice. Lai et al. 2018 (arXiv:1808.00449), section 4.2, who find hidden places by motion forth
    and back.

    Raises InputError where one is no clip of RGB frames.
    """
    check_images(images, truth)
    errors: list[np.ndarray] = []
    frames = zip(itertools.pairwise(images), itertools.pairwise(truth), strict=True)
    for (before, now), (true_before, true_now) in frames:
        motion = find_motion(true_before, true_now)
        seen = np.abs(move(true_before, motion) - true_now).max(-1) < SEEN
        errors.append(np.square(move(before, motion) - now)[seen])
    together = np.concatenate(errors)
    return float(together.mean()) if together.size else 0.0


def move(
    image: Float[np.ndarray, 'h w 3'], motion: Float[np.ndarray, '2 h w']
) -> Float[np.ndarray, 'h w 3']:
    """Returns at each pixel what the image shows at a distance from it, linear between pixels."""
    from scipy.ndimage import map_coordinates

    places = np.indices(image.shape[:2]) + motion
    channels = [map_coordinates(image[..., c], places, order=1, mode='nearest') for c in range(3)]
    return np.stack(channels, axis=-1)


def flicker(images: Float[np.ndarray, 't h w 3'], truth: Float[np.ndarray, 't h w 3']) -> float:
    """Returns the mean absolute change from frame to frame where the truth is flat and still.

    0 where there is no such place.

    Raises InputError where one is no clip of RGB frames.
    """
    check_images(images, truth)
    changes = np.abs(np.diff(images, axis=0))
    still = np.abs(np.diff(truth, axis=0)).max(-1) < STILL
    there = still & _flat(truth[1:])
    return float(changes[there].mean()) if there.any() else 0.0


def _flat(clip: Float[np.ndarray, 't h w 3']) -> Bool[np.ndarray, 't h w']:
    flat = np.ones(clip.shape[:3], bool)
    for axis in (1, 2):
        step = np.abs(np.diff(clip, axis=axis)).max(-1) < FLAT
        first, rest = np.take(step, [0], axis), np.take(step, [-1], axis)
        flat &= np.concatenate([first, step], axis) & np.concatenate([step, rest], axis)
    return flat


def perceptual_change(
    distances: Callable[[np.ndarray, np.ndarray], Sequence[float]],
    images: Float[np.ndarray, 't h w 3'],
    truth: Float[np.ndarray, 't h w 3'],
) -> float:
    """Returns tLP, how far apart the perceptual changes from frame to frame are: Chu et al. 2020
    (arXiv:1811.09393), section 4.3.

    Args:
      distances: of images, pair by pair, such as LPIPS.
      images: made.
      truth: true.
    """
    made, true = (np.asarray(distances(x[:-1], x[1:])) for x in (images, truth))
    return float(np.abs(made - true).mean())


MEASURES = {'t_of': motion_error, 'warping_error': warping_error, 'flicker': flicker}
