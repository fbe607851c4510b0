#!/bin/sh
# augmax' GaussianBlur moves the image by half a pixel, down and to the right, and blurs by about half of sigma: its
# kernel has 2 sigma pixels, an even number, and its ends are at x = -2 and 2 whatever sigma is. Who blurs images for
# pairs of bad and good ones trains a network to move them back.
#
# Version:    augmax 0.4.1, jax 0.12.0.1, numpy 2.5.5, scipy 1.18.1, Python 3.13, 2026-12-01
# Expected:   a Gaussian of standard deviation sigma, which leaves the image where it is: the class has no docstring,
#             and sigma is its only number. gaussian_filter of SciPy, for comparison, is that. augmax' Blur of an odd
#             size does not move the image, and keypoints given beside the image stay, so that not even augmax takes
#             GaussianBlur for a shift.
# Seen:       version 0.4.1
#             sigma 1: moved by 0.50 0.50, blurred by 0.50; SciPy by 0.00 0.00 and 1.00
#             sigma 2: moved by 0.50 0.50, blurred by 0.91; SciPy by 0.00 0.00 and 2.00
#             sigma 3: moved by 0.50 0.50, blurred by 1.52; SciPy by 0.00 0.00 and 3.00
#             sigma 5: moved by 0.50 0.50, blurred by 2.69; SciPy by 0.00 0.00 and 5.00
#             mean of 5 x 5: moved by 0.00 0.00, blurred by 1.41
#             keypoint [30, 40]: [30, 40]
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/degradations/ makes its own kernels
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'augmax==0.4.1' 'jax==0.12.0.1' 'numpy==2.5.5' 'scipy==1.18.1' || exit 1

cat > "$folder/show.py" <<'END'
from importlib.metadata import version

import augmax
import jax
import numpy as np
from augmax import InputType
from scipy.ndimage import gaussian_filter

POINT = 30, 40
KEY = jax.random.key(0)
KINDS = [InputType.IMAGE, InputType.KEYPOINTS]


def run(transform):
    """What becomes of one bright pixel, and of a keypoint on it."""
    image = np.zeros((64, 80, 1), np.float32)
    image[POINT] = 1
    point = np.array([POINT], np.float32)
    image, point = augmax.Chain(transform, input_types=KINDS)(KEY, [image, point])
    return np.asarray(image)[..., 0], np.asarray(point)[0]


def measure(image):
    """How far its middle is from where the pixel was, and its standard deviation."""
    rows, columns = image.sum(1), image.sum(0)
    moved = []
    for profile, start in zip((rows, columns), POINT):
        place = np.arange(len(profile)) - start
        middle = np.sum(profile * place) / profile.sum()
        moved.append(round(middle, 2) + 0.0)
        spread = np.sqrt(np.sum(profile * (place - middle) ** 2) / profile.sum())
    return f'by {moved[0]:.2f} {moved[1]:.2f}', f'{spread:.2f}'


print('version', version('augmax'))
dirac = np.zeros((64, 80))
dirac[POINT] = 1
for sigma in (1, 2, 3, 5):
    blurred, keypoint = run(augmax.GaussianBlur(sigma=sigma, p=1.0))
    moved, spread = measure(blurred)
    expected = ' and '.join(measure(gaussian_filter(dirac, sigma)))
    print(f'sigma {sigma}: moved {moved}, blurred by {spread}; SciPy {expected}')
moved, spread = measure(run(augmax.Blur(size=5, p=1.0))[0])
print(f'mean of 5 x 5: moved {moved}, blurred by {spread}')
print(f'keypoint {list(POINT)}: {[round(float(number)) for number in keypoint]}')
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.4.1
sigma 1: moved by 0.50 0.50, blurred by 0.50; SciPy by 0.00 0.00 and 1.00
sigma 2: moved by 0.50 0.50, blurred by 0.91; SciPy by 0.00 0.00 and 2.00
sigma 3: moved by 0.50 0.50, blurred by 1.52; SciPy by 0.00 0.00 and 3.00
sigma 5: moved by 0.50 0.50, blurred by 2.69; SciPy by 0.00 0.00 and 5.00
mean of 5 x 5: moved by 0.00 0.00, blurred by 1.41
keypoint [30, 40]: [30, 40]'
