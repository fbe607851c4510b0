#!/bin/sh
# OpenCV's imread multiplies the colors of a TIFF of 8 bits by its alpha, also with IMREAD_UNCHANGED, where the file
# says that they are not to be. The colors of what is faint are lost, and who puts the image on a background later, or
# enlarges colors and alpha by a network, as Real-ESRGAN's program does with what it reads so, gets dark edges.
#
# Version:    opencv-python-headless 5.0.0.93, pillow 13.0.0, tifffile 2026.11.8, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   red, green, blue and alpha as they were written, as of PNG and of TIFF of 16 bits. OpenCV's documentation
#             says of IMREAD_UNCHANGED: "If set, return the loaded image as is (with alpha channel, otherwise it gets
#             cropped)". ExtraSamples is 2 in each of these TIFFs: unassociated alpha (TIFF 6.0, section 18), where 1
#             would be multiplied. Without alpha (IMREAD_COLOR), a TIFF is another image than the same pixels in a PNG.
# Seen:       version 5.0.0
#             written: 200 100 50 255, 200 100 50 128, 200 100 50 1, 200 100 50 0
#             PNG: 200 100 50 255, 200 100 50 128, 200 100 50 1, 200 100 50 0
#                 without alpha: 200 100 50, 200 100 50, 200 100 50, 200 100 50
#             TIFF of 16 bits: 200 100 50 255, 200 100 50 128, 200 100 50 1, 200 100 50 0
#                 without alpha: 200 100 50, 100 50 25, 1 0 0, 0 0 0
#             TIFF of 8 bits: 200 100 50 255, 100 50 25 128, 1 0 0 1, 0 0 0 0
#                 without alpha: 200 100 50, 100 50 25, 1 0 0, 0 0 0
#             TIFF of 8 bits by Pillow: 200 100 50 255, 100 50 25 128, 1 0 0 1, 0 0 0 0
#                 without alpha: 200 100 50, 100 50 25, 1 0 0, 0 0 0
# Reported:   not yet
# With us:    nothing depends on it: sr_jax reads images by Pillow
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'opencv-python-headless==5.0.0.93' 'pillow==13.0.0' 'tifffile==2026.11.8' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import sys

import cv2
import numpy as np
import tifffile
from PIL import Image

FOLDER = sys.argv[1]
HEIGHT, WIDTH = 6, 8
ALPHAS = 255, 128, 1, 0


def by_pillow(kind, alpha):
    path = f'{FOLDER}/{alpha}.{kind}'
    Image.fromarray(np.full((HEIGHT, WIDTH, 4), (200, 100, 50, alpha), np.uint8)).save(path)
    return path


def by_tifffile(type, alpha):
    path = f'{FOLDER}/{alpha}.{np.dtype(type)}.tif'
    pixels = np.full((HEIGHT, WIDTH, 4), (200, 100, 50, alpha), type) * type(np.iinfo(type).max // 255)
    tifffile.imwrite(path, pixels, photometric='rgb', extrasamples=['unassalpha'])
    return path


def read(path, flag):
    pixels = cv2.imread(path, flag)
    pixels = pixels // (np.iinfo(pixels.dtype).max // 255)
    blue, green, red, *alpha = pixels[HEIGHT // 2, WIDTH // 2].tolist()
    return ' '.join(map(str, (red, green, blue, *alpha)))


print('version', cv2.__version__)
print('written:', ', '.join(f'200 100 50 {alpha}' for alpha in ALPHAS))
for name, write, kind in (
    ('PNG', by_pillow, 'png'),
    ('TIFF of 16 bits', by_tifffile, np.uint16),
    ('TIFF of 8 bits', by_tifffile, np.uint8),
    ('TIFF of 8 bits by Pillow', by_pillow, 'tif'),
):
    paths = [write(kind, alpha) for alpha in ALPHAS]
    print(f'{name}:', ', '.join(read(path, cv2.IMREAD_UNCHANGED) for path in paths))
    print('    without alpha:', ', '.join(read(path, cv2.IMREAD_COLOR) for path in paths))
END

found=$("$folder/venv/bin/python" "$folder/show.py" "$folder")
echo "$found"
test "$found" = 'version 5.0.0
written: 200 100 50 255, 200 100 50 128, 200 100 50 1, 200 100 50 0
PNG: 200 100 50 255, 200 100 50 128, 200 100 50 1, 200 100 50 0
    without alpha: 200 100 50, 200 100 50, 200 100 50, 200 100 50
TIFF of 16 bits: 200 100 50 255, 200 100 50 128, 200 100 50 1, 200 100 50 0
    without alpha: 200 100 50, 100 50 25, 1 0 0, 0 0 0
TIFF of 8 bits: 200 100 50 255, 100 50 25 128, 1 0 0 1, 0 0 0 0
    without alpha: 200 100 50, 100 50 25, 1 0 0, 0 0 0
TIFF of 8 bits by Pillow: 200 100 50 255, 100 50 25 128, 1 0 0 1, 0 0 0 0
    without alpha: 200 100 50, 100 50 25, 1 0 0, 0 0 0'
