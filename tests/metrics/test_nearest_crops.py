import numpy as np
from scipy.ndimage import gaussian_filter

from sr_jax.metrics.nearest_crops import NearestCrops


def make_image(seed, height=76, width=93):
    noise = np.random.default_rng(seed).random((height, width, 3))
    return gaussian_filter(noise, (2, 2, 0)).astype(np.float32)


def test_a_crop_is_found_where_it_was_cut_however_it_was_turned():
    images = {f'{seed}': make_image(seed) for seed in range(4)}
    crops = [images['1'][8:40, 20:52], np.rot90(images['3'][4:36, 60:92], 3)[:, ::-1]]
    nearest = NearestCrops(np.stack(crops), 2, flips=True, rotations=True)
    for name, image in images.items():
        nearest.add(name, image)
    for name, crop, found in zip('13', crops, nearest.found, strict=True):
        assert found[0].name == name
        assert found[0].mse < 1e-12 < 1e-5 < found[1].mse
        np.testing.assert_array_equal(found[0].crop, crop)


def test_without_turns_the_distance_is_the_least_of_all_places():
    image, other = make_image(0, 41, 50), make_image(1, 16, 16)
    nearest = NearestCrops(other[None], 1)
    nearest.add('image', image)
    small = image[:40, :48].reshape(10, 4, 12, 4, 3).mean(axis=(1, 3))
    query = other.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3))
    distances = [
        np.mean((small[i : i + 4, j : j + 4] - query) ** 2) for i in range(7) for j in range(9)
    ]
    np.testing.assert_allclose(nearest.found[0][0].mse, min(distances), rtol=1e-5)
